//! `notify.sh`, run by real clones: what each service receives, and that no list of processes shows a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::examples::example;
use crate::reports::server::{Answer, Server};
use crate::support::sandbox::{Finished, Sandbox, write_script};

/// What must be seen by the services alone.
const SECRET: &str = "s3cret-T0ken";

/// A machine on which the script is installed.
struct Scene {
    sandbox: Sandbox,
    script: PathBuf,
}

impl Scene {
    /// The script as it is, but for the place of its configuration and a `sendmail` and a `curl` that write down how they
    /// were called. The former keeps the mail, the latter is the real one.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("file", "content");
        let at = sandbox.path().join("notify");
        fs::create_dir_all(at.join("bin")).unwrap();
        let seen = at.join("seen").display().to_string();
        let look = format!("{{ printf '%s\\n' \"$0 $*\"; env; cat /proc/$PPID/cmdline; }} >>'{seen}'");
        write_script(&at.join("bin/curl"), &format!("{look}\nexec /usr/bin/curl \"$@\""));
        write_script(
            &at.join("bin/sendmail"),
            &format!("{look}\nexec cat >>'{}'", at.join("mail").display()),
        );
        let text = fs::read_to_string(example("notify.sh")).unwrap();
        let changed = text
            .replacen(
                "configuration=/etc/counterpart/notify.conf\n",
                &format!("configuration='{}'\n", at.join("conf").display()),
                1,
            )
            .replacen(
                "export PATH\n",
                &format!("PATH='{}':$PATH\nexport PATH\n", at.join("bin").display()),
                1,
            );
        assert_eq!(changed.lines().count(), text.lines().count() + 1);
        let script = at.join("notify.sh");
        fs::write(&script, changed).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        Self { sandbox, script }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.script.with_file_name(name)).unwrap_or_default()
    }

    fn configure(&self, text: &str) {
        let file = self.script.with_file_name("conf");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A clone that fails and one that succeeds, each reported.
    fn fail_and_succeed(&self) -> [Finished; 2] {
        let script = self.script.to_str().unwrap();
        let clone = |more: &[&str]| {
            let finished = self.sandbox.clone(&[&["--on-error", script, "-o", script], more].concat());
            finished.assert_no_log(SECRET);
            finished
        };
        let both = [clone(&["-e", "/nonexistent"]), clone(&[])];
        both[0].assert_code(67);
        both[1].assert_code(0);
        assert!(!self.read("seen").contains(SECRET), "{}", self.read("seen"));
        both
    }

    /// What is said of the failure: what, where to, and what to do.
    #[track_caller]
    fn assert_failure(&self, text: &str) {
        let (source, destination) = (self.sandbox.source.display(), self.sandbox.destination.display());
        for part in [
            format!("The clone of {source} to {destination} failed."),
            "The excludes file /nonexistent cannot be read: No such file or directory. Check -e.".to_owned(),
            "Exit code:  67\nWhat to do: check -e: it must be a readable file\n".to_owned(),
            format!("Log:        {}", self.sandbox.logs()[0].display()),
        ] {
            assert!(text.contains(&part), "{part:?} is not in {text}");
        }
    }

    #[track_caller]
    fn assert_success(&self, text: &str) {
        let (source, destination) = (self.sandbox.source.display(), self.sandbox.destination.display());
        assert!(
            text.starts_with(&format!("The clone of {source} to {destination} is complete.\nLog: ")),
            "{text}"
        );
        assert!(text.contains("\n\nClone Started: "), "{text}");
    }

    fn title(&self, end: &str) -> String {
        let host = String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap();
        format!("Clone of {} to {} {end}", host.trim_end(), self.sandbox.destination.display())
    }
}

#[test]
fn without_a_configuration_root_gets_a_mail() {
    let scene = Scene::new();
    let [failed, succeeded] = scene.fail_and_succeed();
    assert!(scene.read("seen").contains("/sendmail -t -i\n"), "{}", scene.read("seen"));
    failed.assert_no_log("notify: ");
    succeeded.assert_no_warning();
    let mails = scene.read("mail");
    let mails: Vec<&str> = mails.split("To: root\n").skip(1).collect();
    let [failure, success] = mails[..] else { panic!("{mails:?}") };
    let (head, body) = failure.split_once("\n\n").unwrap();
    assert!(head.starts_with(&format!("Subject: {}\n", scene.title("failed with code 67"))), "{head}");
    assert!(head.contains("\nContent-Type: text/plain; charset=UTF-8\n"), "{head}");
    scene.assert_failure(body);
    let (head, body) = success.split_once("\n\n").unwrap();
    assert!(head.starts_with(&format!("Subject: {}\n", scene.title("completed"))), "{head}");
    scene.assert_success(body);
}

#[test]
fn ntfy_gets_title_text_and_priority() {
    let (scene, server) = (Scene::new(), Server::kind());
    scene.configure(&format!(
        "ntfy {} {SECRET}\nntfy {}",
        server.url("/a"),
        server.url(&format!("/{SECRET}"))
    ));
    for finished in scene.fail_and_succeed() {
        finished.assert_no_log("was not sent");
    }
    let secret = format!("POST /{SECRET}");
    assert_eq!(server.whats(), ["POST /a", &secret, "POST /a", &secret]);
    let asked = server.asked();
    scene.assert_failure(&asked[0].body);
    scene.assert_success(&asked[2].body);
    let has = |at: usize, line: &str| asked[at].head.contains(&line.to_lowercase());
    assert!(has(0, &format!("Authorization: Bearer {SECRET}")) && has(0, "Priority: high"), "{asked:?}");
    assert!(has(0, &format!("Title: {}", scene.title("failed with code 67"))), "{asked:?}");
    assert!(
        has(2, &format!("Title: {}", scene.title("completed"))) && has(2, "Priority: default"),
        "{asked:?}"
    );
    assert!(!asked[1].head.iter().any(|line| line.starts_with("authorization")), "{asked:?}");
}

#[test]
fn slack_gets_one_text_in_which_no_sign_has_a_meaning() {
    let mut scene = Scene::new();
    let server = Server::kind();
    scene.sandbox.destination = scene.sandbox.path().join("<x> & \"y\" \\ `z`");
    fs::create_dir(&scene.sandbox.destination).unwrap();
    scene.configure(&format!("# to the channel\n\nslack {}\n", server.url(&format!("/services/{SECRET}"))));
    scene.fail_and_succeed();
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].head.contains(&"content-type: application/json".to_owned()), "{asked:?}");
    let text = |at: usize| {
        let sent: Value =
            serde_json::from_str(&asked[at].body).unwrap_or_else(|error| panic!("{error}: {asked:?}"));
        assert_eq!((sent.as_object().unwrap().len(), &sent["mrkdwn"]), (2, &Value::Bool(false)));
        sent["text"].as_str().unwrap().to_owned()
    };
    let failure = text(0);
    assert!(failure.contains("/&lt;x&gt; &amp; \"y\" \\ `z` failed.\n"), "{failure}");
    let plain = failure.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    assert!(plain.starts_with(&scene.title("failed with code 67\n\nThe clone of ")), "{plain}");
    scene.assert_failure(&plain);
    assert!(text(1).contains(" is complete.\nLog:"), "{}", text(1));
}

#[test]
fn gotify_gets_title_message_and_priority() {
    let (scene, server) = (Scene::new(), Server::kind());
    scene.configure(&format!("gotify {} {SECRET}\n", server.url("/")));
    scene.fail_and_succeed();
    assert_eq!(server.whats(), ["POST /message", "POST /message"]);
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.head.contains(&format!("X-Gotify-Key: {SECRET}").to_lowercase())));
    let sent: Vec<Value> = asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    assert_eq!((&sent[0]["priority"], &sent[1]["priority"]), (&8.into(), &2.into()));
    assert_eq!(sent[0]["title"], scene.title("failed with code 67"));
    scene.assert_failure(sent[0]["message"].as_str().unwrap());
    scene.assert_success(sent[1]["message"].as_str().unwrap());
}

#[test]
fn a_receiver_that_fails_is_a_warning_and_keeps_no_other_from_being_told() {
    let scene = Scene::new();
    let server = Server::start(|asked| {
        Answer::status(if asked.what.contains("good") { "200 OK" } else { "500 Internal Server Error" })
    });
    let bad = server.url(&format!("/{SECRET}"));
    write_script(&scene.script.with_file_name("bin").join("sendmail"), "cat >/dev/null; exit 75");
    scene.configure(&format!(
        "mail root\nntfy {bad}\nslack {bad}\ngotify {bad} {SECRET}\nntfy http://127.0.0.1:1/{SECRET}\n\
         tweet {bad}\nntfy {}\n",
        server.url("/good")
    ));
    let [failed, succeeded] = scene.fail_and_succeed();
    for service in ["mail", "ntfy", "slack", "gotify"] {
        failed.assert_log(&format!("on-error script: notify: the report by {service} was not sent\n"));
    }
    failed.assert_log("on-error script: curl: (22) The requested URL returned error: 500\n");
    failed.assert_log("conf: line 6 is not understood\n");
    let script = scene.script.display();
    failed.assert_log(&format!("Warning: The on-error script {script} failed: it ended with exit code 1.\n"));
    succeeded
        .assert_log(&format!("Warning: The post-clone script {script} failed: it ended with exit code 1."));
    let good: Vec<String> = server.whats().into_iter().filter(|what| what == "POST /good").collect();
    assert_eq!(good.len(), 2, "{:?}", server.whats());
    assert_eq!(scene.sandbox.markers(), ["completed", "id", "stats"]);
}

#[test]
fn a_configuration_that_others_may_read_is_not_used() {
    let (scene, server) = (Scene::new(), Server::kind());
    let file = scene.script.with_file_name("conf");
    for mode in [0o640, 0o604, 0o620, 0o644] {
        scene.configure(&format!("ntfy {}\n", server.url("/x")));
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let [failed, _] = scene.fail_and_succeed();
        failed.assert_log(
            "conf is not used: it must be a file of root's that nobody else may read (chmod 600)\n",
        );
    }
    let other = scene.script.with_file_name("other");
    scene.configure(&format!("ntfy {}\n", server.url("/x")));
    fs::rename(&file, &other).unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    scene.fail_and_succeed()[0].assert_log("conf is not used: ");
    fs::remove_file(&file).unwrap();
    fs::rename(&other, &file).unwrap();
    std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
    scene.fail_and_succeed()[0].assert_log("conf is not used: ");
    assert_eq!(server.whats(), [] as [&str; 0]);
    assert_eq!(scene.read("mail"), "");
}

#[test]
fn by_hand_it_sends_a_test() {
    let scene = Scene::new();
    let output = Command::new(&scene.script).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mail = scene.read("mail");
    assert!(
        mail.contains("\nSubject: Test from Counterpart on ")
            && mail.contains("\n\nThis is how a report of "),
        "{mail}"
    );
}

#[test]
fn the_example_of_a_configuration_names_each_service_as_the_script_takes_it() {
    let conf = fs::read_to_string(example("notify.conf")).unwrap();
    let words: Vec<Vec<&str>> = conf
        .lines()
        .map(|line| line.trim_start_matches("# ").split_whitespace().collect::<Vec<_>>())
        .filter(|words| {
            words.len() > 1 && ["mail", "ntfy", "slack", "gotify"].contains(&words[0]) && words.len() < 4
        })
        .collect();
    let services: Vec<&str> = words.iter().map(|words| words[0]).collect();
    assert_eq!(services, ["mail", "ntfy", "ntfy", "slack", "gotify"], "{words:?}");
    let (scene, server) = (Scene::new(), Server::kind());
    let mine = words.iter().map(|words| {
        let address = if words[0] == "mail" { words[1].to_owned() } else { server.url("/x") };
        format!("{} {address} {}", words[0], words.get(2).unwrap_or(&""))
    });
    let mine = mine.collect::<Vec<_>>().join("\n");
    scene.configure(&mine);
    let output = Command::new(&scene.script).env_clear().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(server.asked().len(), 4);
    assert!(scene.read("mail").starts_with("To: root\n"));
}

#[test]
fn a_copy_that_starts_no_machine_is_no_success() {
    let (scene, server) = (Scene::new(), Server::kind());
    scene.configure(&format!("gotify {} x\n", server.url("")));
    let told = |outcome: &str, code: &str, more: &[(&str, &str)]| {
        let mut command = Command::new(&scene.script);
        command.env_clear().env("COUNTERPART_SOURCE", "/").env("COUNTERPART_DESTINATION", "/mnt/clone");
        command.env("COUNTERPART_OUTCOME", outcome).env("COUNTERPART_EXIT_CODE", code);
        let output = command.envs(more.iter().copied()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let sent: Value = serde_json::from_str(&server.asked().pop().unwrap().body).unwrap();
        let [title, message] = ["title", "message"].map(|key| sent[key].as_str().unwrap().to_owned());
        (title, message, sent["priority"].as_u64().unwrap())
    };
    let because = [("COUNTERPART_REASON", "It does not boot."), ("COUNTERPART_REMEDY", "look at it")];
    let (title, message, priority) = told("warning", "79", &because);
    assert!(title.ends_with(" to /mnt/clone completed with code 79"), "{title}");
    let text = "The clone of / to /mnt/clone is complete.\n\nIt does not boot.\n\nExit code:  79\nWhat to do: look at it";
    assert_eq!((message.as_str(), priority), (text, 8));
    let (title, message, priority) = told("warning", "24", &[]);
    assert!(title.ends_with(" completed with warnings"), "{title}");
    let text = "The clone of / to /mnt/clone is complete.\nThere are warnings (exit code 24): read the log.";
    assert_eq!((message.as_str(), priority), (text, 2));
}
