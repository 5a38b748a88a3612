//! `counterpart schedule`: has launchd or systemd make clones, shows the state of a schedule, and removes it.

mod check;
mod files;
mod json;
mod launchd;
pub mod made;
mod scheduler;
mod systemd;

use std::collections::BTreeSet;

use chrono::Local;

use crate::cli::job_file;
use crate::cli::schedule::{Action, Install, NO_TAG, What, objection};
use crate::display;
use crate::exit_code::ExitCode;
use crate::failure::refusal::Refusal;
use crate::host::machine::Machine;
use crate::host::platform::Platform;
use crate::logging::complain;
use crate::plan::Plan;
use crate::plan::schedule;
use crate::plan::schedule::{Job, Name, State, Target};
use crate::process::tool_environment;
use crate::schedule::scheduler::Scheduler;
use files::File;

/// Runs the subcommand, and returns what to print.
pub fn run(action: &Action, machine: Machine<'_>) -> Result<String, Refusal> {
    let scheduler = Scheduler { machine };
    match action {
        Action::Install(install) if install.print => scheduler.print(install),
        Action::Install(install) => scheduler.install(install),
        Action::Show(name) => scheduler.show(name),
        Action::List(false) => scheduler.list(),
        Action::List(true) => scheduler.list_json(),
        Action::Run(name) => scheduler.start(name),
        Action::Remove(name) => scheduler.remove(name),
    }
}

impl Scheduler<'_> {
    fn print(&self, install: &Install) -> Result<String, Refusal> {
        let files = self.files(&job_of(install, &self.plans(install)?)?)?;
        Ok(files.iter().map(|file| file.shown(&self.machine.host.job_dir)).collect::<Vec<_>>().join("\n"))
    }

    fn install(&self, install: &Install) -> Result<String, Refusal> {
        let name = &install.name;
        self.needs_root("install", "; --print shows the files without it")?;
        let plans = self.plans(install)?;
        let mut warnings = Vec::new();
        for plan in &plans {
            warnings.extend(check::check(plan, self.machine)?);
        }
        // Clones of one job may share a script.
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let job = job_of(install, &plans)?;
        let files = self.files(&job)?;
        let before = files::find(&self.machine.host.job_dir, files.iter().map(|file| &*file.name))?;
        if !before.is_empty() {
            if !install.replace {
                return Err(Refusal::new(format!(
                    "There is a schedule {name} already. Replace it with --replace, or choose another --name."
                )));
            }
            self.refuse_while_it_runs(name)?;
        }
        for warning in warnings.iter().chain(&check::program(&job)) {
            complain(&format!("Warning: {warning}"));
        }
        match self.machine.host.platform {
            Platform::Linux => systemd::install(self, name, &files, &before)?,
            Platform::MacOs(version) => launchd::install(self, version, name, &files, &before)?,
        }
        Ok(self.summary(&job, &files, &self.state(name)?))
    }

    /// What the schedule will make: the clone whose arguments were given, or those of a job.
    fn plans(&self, install: &Install) -> Result<Vec<Plan>, Refusal> {
        let name = match &install.what {
            What::Clone { plan, .. } => return Ok(vec![(**plan).clone()]),
            What::Job(name) => name,
        };
        let job = job_file::load(name, &self.machine.host.job_file_dir, &[])?;
        let plans: Vec<Plan> = job.clones.iter().map(job_file::JobClone::alone).collect();
        if let Some(why) = plans.iter().find_map(objection) {
            return Err(Refusal(ExitCode::JOB_FILE, format!("The job {name} is not scheduled: {why}.")));
        }
        if install.when_plugged_in && plans.iter().all(|plan| plan.named.is_none()) {
            return Err(Refusal(ExitCode::USAGE, format!("{NO_TAG}.")));
        }
        Ok(plans)
    }

    fn show(&self, name: &Name) -> Result<String, Refusal> {
        let files = self.existing(name)?;
        let State { loaded, next, last, .. } = self.state(name)?;
        let mut text =
            format!("Schedule:    {name}\nNext run:    {}\nLast result: {last}\n", upcoming(loaded, next));
        for file in files {
            text += "\n";
            text += &file.shown(&self.machine.host.job_dir);
        }
        Ok(text)
    }

    fn list(&self) -> Result<String, Refusal> {
        let mut rows = vec![["NAME", "NEXT RUN", "LAST RESULT"].map(str::to_owned)];
        for name in self.names()? {
            let State { loaded, next, last, .. } = self.state(&name)?;
            rows.push([name.to_string(), upcoming(loaded, next), last]);
        }
        if rows.len() == 1 {
            return Ok("No clone is scheduled.\n".to_owned());
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second) = (width(0), width(1));
        let lines = rows.iter().map(|[name, next, last]| format!("{name:first$}  {next:second$}  {last}\n"));
        Ok(lines.collect())
    }

    fn list_json(&self) -> Result<String, Refusal> {
        let mut rows = Vec::new();
        for made in made::all(self.machine)? {
            let state = self.state(&made.name)?;
            rows.push(json::row(&made, &state));
        }
        Ok(json::document(rows))
    }

    fn start(&self, name: &Name) -> Result<String, Refusal> {
        self.needs_root("run", "")?;
        let files = self.existing(name)?;
        self.refuse_while_it_runs(name)?;
        match self.machine.host.platform {
            Platform::Linux => systemd::start(self, name)?,
            Platform::MacOs(version) => launchd::start(self, version, name)?,
        }
        if systemd::needs_mains(&files) {
            return Ok(format!(
                "The clone {name} has been started, unless the machine is on battery (--on-ac): counterpart schedule \
                 list says whether it was. Its log shows the progress.\n"
            ));
        }
        Ok(format!(
            "The clone {name} has been started. Its log shows the progress; see also: counterpart schedule list\n"
        ))
    }

    fn remove(&self, name: &Name) -> Result<String, Refusal> {
        self.needs_root("remove", "")?;
        let files = self.existing(name)?;
        self.refuse_while_it_runs(name)?;
        match self.machine.host.platform {
            Platform::Linux => systemd::remove(self, name, &files)?,
            Platform::MacOs(version) => launchd::remove(self, version, name, &files)?,
        }
        Ok(format!("The schedule {name} has been removed. Its clones and logs remain.\n"))
    }

    fn needs_root(&self, what: &str, more: &str) -> Result<(), Refusal> {
        if self.machine.host.is_root() {
            return Ok(());
        }
        Err(Refusal::new(format!("schedule {what} must be run as root{more}.")))
    }

    fn refuse_while_it_runs(&self, name: &Name) -> Result<(), Refusal> {
        if self.state(name)?.running {
            return Err(Refusal::new(format!(
                "The clone {name} is running at the moment. Wait for it to finish."
            )));
        }
        Ok(())
    }

    fn files(&self, job: &Job) -> Result<Vec<File>, Refusal> {
        let skips = job.targets.iter().all(|target| target.skips_if_missing);
        if job.when_plugged_in && !skips && self.machine.host.platform != Platform::Linux {
            return Err(Refusal(
                ExitCode::USAGE,
                "launchd starts the clone whenever any disk is mounted: with --when-plugged-in, give \
                 --skip-if-missing to the clone."
                    .to_owned(),
            ));
        }
        if job.on_ac && self.machine.host.platform != Platform::Linux {
            return Err(Refusal(
                ExitCode::USAGE,
                "launchd cannot keep a job from starting on battery: leave out --on-ac, which is for systemd.".to_owned(),
            ));
        }
        match self.machine.host.platform {
            Platform::Linux => systemd::files(job),
            Platform::MacOs(_) => launchd::files(job),
        }
    }

    /// The files of a schedule, which must exist.
    fn existing(&self, name: &Name) -> Result<Vec<File>, Refusal> {
        let names = match self.machine.host.platform {
            Platform::Linux => systemd::file_names(name),
            Platform::MacOs(_) => launchd::file_names(name),
        };
        let found = files::find(&self.machine.host.job_dir, names.iter().map(|name| &**name))?;
        if found.is_empty() {
            return Err(Refusal::new(format!("There is no schedule {name}. See: counterpart schedule list")));
        }
        Ok(found)
    }

    /// The names of all schedules, sorted.
    fn names(&self) -> Result<Vec<Name>, Refusal> {
        let name_of = match self.machine.host.platform {
            Platform::Linux => crate::linux::systemd::name_of,
            Platform::MacOs(_) => crate::macos::launchd::name_of,
        };
        let mut names = Vec::new();
        for file in files::names(&self.machine.host.job_dir)? {
            if let Some(name) = name_of(&file)
                && files::is_ours(&self.machine.host.job_dir, &file)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn state(&self, name: &Name) -> Result<State, Refusal> {
        match self.machine.host.platform {
            Platform::Linux => systemd::state(self, name),
            Platform::MacOs(version) => launchd::state(self, version, name, Local::now().naive_local()),
        }
    }

    /// The report on an installation.
    fn summary(&self, job: &Job, files: &[File], state: &State) -> String {
        let (name, next) = (&job.name, upcoming(state.loaded, state.next.clone()));
        let list =
            |title: &str, lines: Vec<String>| format!("{title:<12} {}\n", lines.join("\n             "));
        let paths = files
            .iter()
            .map(|file| display::path(&self.machine.host.job_dir.join(&file.name)).to_string())
            .collect();
        let see = match self.machine.host.platform {
            Platform::Linux => systemd::how_to_see(name),
            Platform::MacOs(version) => launchd::how_to_see(version, name),
        };
        let plugged = if job.when_plugged_in { ", and when its disk is plugged in" } else { "" };
        let mains = if job.on_ac { ", not while on battery" } else { "" };
        let mut text = format!("The clone {name} is scheduled: {}{plugged}{mains}.\n", job.when);
        text += &list("Next run:", vec![next]);
        text += &list("Files:", paths);
        text +=
            &list("See it:", [format!("counterpart schedule show {name}")].into_iter().chain(see).collect());
        text += &list("Run it now:", vec![format!("sudo counterpart schedule run {name}")]);
        text += &list("Remove it:", vec![format!("sudo counterpart schedule remove {name}")]);
        text
    }
}

/// The job to install.
fn job_of(install: &Install, plans: &[Plan]) -> Result<Job, Refusal> {
    let unwritable = |why: String| Refusal::new(format!("The path of this program cannot be used: {why}."));
    let program = std::env::current_exe().map_err(|error| unwritable(display::reason(&error)))?;
    let text = schedule::text(program.as_os_str()).map_err(|error| unwritable(error.to_string()))?;
    let search_path = tool_environment().into_iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    Ok(Job {
        name: install.name.clone(),
        when: install.when,
        program: text,
        arguments: match &install.what {
            What::Clone { arguments, .. } => arguments.clone(),
            What::Job(name) => vec!["run".to_owned(), name.to_string()],
        },
        search_path: search_path.unwrap_or_default().to_string_lossy().into_owned(),
        targets: plans.iter().map(target).collect(),
        when_plugged_in: install.when_plugged_in,
        on_ac: install.on_ac,
    })
}

fn target(plan: &Plan) -> Target {
    Target {
        destination: plan.destination.clone(),
        named: plan.named.clone(),
        skips_if_missing: plan.skip_if_missing,
    }
}

fn upcoming(loaded: bool, next: Option<String>) -> String {
    match next {
        Some(next) if loaded => next,
        None if loaded => "none".to_owned(),
        Some(_) | None => "none, the system has not loaded it".to_owned(),
    }
}
