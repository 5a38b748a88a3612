//! Man pages and shell completions, made from the definition of the command line.

mod job_schema;
mod man;
mod roff;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap_complete::Shell;

use crate::cli;
use crate::cli::{GenerateArgs, Generated};

/// Prints one of them on standard output, or writes all man pages below a directory.
pub fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    if let Some(directory) = &args.dir {
        anyhow::ensure!(args.what == Generated::Man, "--dir goes with man only");
        return write_pages(directory);
    }
    let mut text = Vec::new();
    match args.what {
        Generated::Man => text = man::main_page()?.text,
        Generated::Bash => complete(Shell::Bash, &mut text),
        Generated::Zsh => complete(Shell::Zsh, &mut text),
        Generated::Fish => complete(Shell::Fish, &mut text),
        Generated::JobSchema => text = job_schema::schema()?.into_bytes(),
    }
    Ok(io::stdout().lock().write_all(&text)?)
}

fn complete(shell: Shell, text: &mut Vec<u8>) {
    clap_complete::generate(shell, &mut cli::definition(), "counterpart", text);
}

/// Writes each page where `man` looks for it: `DIR/man8/counterpart.8` and so on.
fn write_pages(directory: &Path) -> anyhow::Result<()> {
    for page in man::pages()? {
        let path = directory.join(page.path());
        let dir = path.parent().unwrap_or(directory);
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be created", dir.display()))?;
        fs::write(&path, &page.text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
