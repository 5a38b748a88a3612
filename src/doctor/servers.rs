//! This machine's servers, whose files are inconsistent if copied while they run.

use crate::doctor::ends::Ends;
use crate::doctor::exam::Exam;
use crate::failure::Failure;
use crate::phases::server_backup;

const TOPIC: &str = "server backup";

/// Reports what a server backup would save, and what would prevent it.
pub fn examine(exam: &mut Exam<'_>, ends: &Ends) {
    if exam.run.plan.backup.is_some() {
        asked_for(exam);
        return;
    }
    let found = server_backup::find(exam.run);
    let (skipped, _) = exam.warnings(TOPIC, "");
    match found {
        Ok(found) if ends.is_system() && exam.run.plan.pre_script.is_none() => {
            for name in found.names() {
                exam.warn(
                    TOPIC,
                    format!("{name} is not dumped; a copy of a running server's files is not consistent."),
                    "Store a password with counterpart setpass and give -B, or dump it in a pre-clone script.",
                );
            }
        }
        Ok(found) => {
            exam.ok_with(TOPIC, "none was requested; it would save what is listed below.", found.names());
        }
        Err(Failure::BackupUnsupported { .. }) => {
            exam.ok_with(TOPIC, "none was requested, and none is needed: no server was found here.", skipped);
        }
        Err(failure) => exam.warn(
            TOPIC,
            format!("none was requested, and it would exit with {}: {failure}", failure.exit_code().number()),
            "Check whether anything here must be dumped before a clone.",
        ),
    }
}

fn asked_for(exam: &mut Exam<'_>) {
    let found = server_backup::find(exam.run);
    let (skipped, _) = exam.warnings(TOPIC, "");
    match found {
        Err(failure) => exam.fail(TOPIC, &failure),
        Ok(found) => {
            if exam.ask(TOPIC, "", |run| found.check(run)).is_some() {
                let details = found.names().into_iter().chain(skipped).collect();
                exam.ok_with(TOPIC, "it would save what is listed below.", details);
            }
        }
    }
}
