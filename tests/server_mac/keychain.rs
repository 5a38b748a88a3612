//! The password in the keychain: what is stored is read back exactly, or is refused.

use counterpart::host::Host;
use counterpart::host::machine::Machine;
use counterpart::password_store::keychain::{delete, load, save};
use counterpart::process::interrupts::Interrupts;
use counterpart::secret::Secret;

use crate::server_mac::mac::{Mac, PASSWORD};

const SERVICE: &str = "me.jedda.counterpart";

struct Keychain {
    mac: Mac,
    host: Host,
    interrupts: Interrupts,
}

impl Keychain {
    fn new() -> Self {
        let mac = Mac::server("10.9.5");
        let mut host = Host::native().unwrap();
        host.tools.security = mac.sandbox.host().join("tools/security");
        Self { mac, host, interrupts: Interrupts::default() }
    }

    fn machine(&self) -> Machine<'_> {
        Machine { host: &self.host, interrupts: &self.interrupts }
    }

    fn save(&self, password: &[u8]) -> Result<(), String> {
        let secret = Secret::new(password.to_vec());
        save(self.machine(), SERVICE, &secret).map_err(|error| error.to_string())
    }

    fn load(&self) -> Result<Vec<u8>, String> {
        load(self.machine(), SERVICE)
            .map(|secret| secret.expose().to_vec())
            .map_err(|error| error.to_string())
    }

    fn delete(&self) -> Result<bool, String> {
        delete(self.machine(), SERVICE).map_err(|error| error.to_string())
    }
}

#[test]
fn any_password_comes_back_exactly() {
    let keychain = Keychain::new();
    let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'\n').collect();
    let long = "x\"\\ ".repeat(125);
    let hostile =
        ["a", " ", "\"", "\\", "'", "a b", " a ", "=", "ü🔑", "-w", "0x41", "414243", "a\\\"", "a\tb\rc"];
    let passwords = hostile.map(str::as_bytes).into_iter().chain([long.as_bytes(), &all]);
    for password in passwords {
        keychain.save(password).unwrap();
        assert_eq!(keychain.load().unwrap(), password);
    }
    assert_eq!(long.len(), 500);
    let records = std::fs::read_to_string(keychain.mac.file("records")).unwrap();
    assert!(!records.contains("x\\\"") && !records.contains("414243"), "{records}");
}

#[test]
fn what_the_tool_cannot_take_is_refused_and_the_old_one_stays() {
    let keychain = Keychain::new();
    keychain.save(b"old").unwrap();
    for (password, why) in [
        (b"a\nb".as_slice(), "the password contains a newline"),
        (b"a\n", "the password contains a newline"),
        (b"a\0b", "the password contains a NUL byte"),
        (b"", "the password is empty"),
        (&[b'x'; 5000], "the password is too long"),
    ] {
        let error = keychain.save(password).unwrap_err();
        assert!(error.starts_with(why), "{error}");
        assert_eq!(keychain.load().unwrap(), b"old");
    }
}

#[test]
fn a_password_that_the_keychain_alters_is_not_taken_for_stored() {
    let mut keychain = Keychain::new();
    keychain.mac.set("alters", true);
    assert!(keychain.save(b"secret").unwrap_err().contains("returned a different password"));
}

#[test]
fn deleting_says_whether_there_was_one() {
    let keychain = Keychain::new();
    assert_eq!(keychain.delete(), Ok(false));
    keychain.save(b"secret").unwrap();
    assert_eq!(keychain.delete(), Ok(true));
    assert_eq!(
        keychain.load().unwrap_err(),
        "the keychain /Library/Keychains/System.keychain holds no item me.jedda.counterpart"
    );
}

#[test]
fn each_refusal_has_its_words() {
    let mut keychain = Keychain::new();
    for (code, words) in [(36, "is locked"), (50, "does not exist"), (51, "denied access"), (7, "code 7")] {
        keychain.mac.set("keychain", code);
        for error in [
            keychain.load().unwrap_err(),
            keychain.save(b"secret").unwrap_err(),
            keychain.delete().unwrap_err(),
        ] {
            assert!(error.contains(words), "{code}: {error}");
        }
    }
    keychain.host.tools.security = "/nowhere/security".into();
    assert_eq!(keychain.load().unwrap_err(), "/nowhere/security could not be run: No such file or directory");
}

#[test]
fn a_clone_takes_its_password_from_the_keychain() {
    let keychain = Keychain::new();
    keychain.save(PASSWORD.as_bytes()).unwrap();
    keychain.mac.ledger();
    keychain.mac.sandbox.clone(&["-B"]).assert_code(0).assert_no_log("process list");
    let ledger = keychain.mac.ledger();
    assert_eq!(ledger[0], "security find-generic-password counterpart me.jedda.counterpart");
    assert_eq!(ledger.last().unwrap(), "rsync");
    let told = std::fs::read_to_string(keychain.mac.file("told")).unwrap();
    assert!(told.contains(&format!("archivePassword = \"{PASSWORD}\"\n")), "{told}");
}

#[test]
fn a_clone_without_a_stored_password_ends_before_anything_is_touched() {
    let mut keychain = Keychain::new();
    let run = |mac: &Mac, why: &str| {
        mac.sandbox.clone(&["-B", "-g", "org.site"]).assert_code(92).assert_log(why);
        assert!(!mac.ledger().iter().any(|line| line == "rsync" || line.starts_with("serveradmin")));
        assert!(!mac.backup().exists());
    };
    let sentence = "holds no item org.site.counterpart. Store one with: counterpart setpass -g org.site";
    run(&keychain.mac, sentence);
    keychain.mac.set("keychain", 36);
    run(&keychain.mac, "could not be read: it is locked");
}

#[test]
fn setpass_stores_what_the_clone_then_finds() {
    use std::io::Write as _;
    let mac = Mac::server("10.9.5");
    let setpass = |option: &str, input: &str| {
        let mut command = mac.sandbox.command(["setpass", option]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses its option does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        crate::support::sandbox::Finished::from(child.wait_with_output().unwrap())
    };
    assert_eq!(setpass("--check", "").code, 92);
    mac.sandbox.clone(&["-B"]).assert_code(92).assert_log("counterpart setpass -g me.jedda");
    let stored = setpass("--stdin", &format!("{PASSWORD}\n"));
    assert_eq!(stored.code, 0, "{stored}");
    assert_eq!(stored.out, "The password of me.jedda is stored in the System keychain.\n");
    assert_eq!(setpass("--check", "").code, 0);
    mac.sandbox.clone(&["-B"]).assert_code(0).assert_no_log(PASSWORD);
    assert_eq!(setpass("--delete", "").code, 0);
    assert_eq!(setpass("--delete", "").code, 92);
    mac.sandbox.clone(&["-B"]).assert_code(92);
}
