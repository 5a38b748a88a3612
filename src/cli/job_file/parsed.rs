//! The syntax of a job file.

use toml::de::DeTable;

use crate::cli::job_file::place::Wrong;
use crate::display;

/// The table that the text holds.
pub fn parse(text: &str) -> Result<DeTable<'_>, Wrong> {
    match DeTable::parse(text) {
        Ok(table) => Ok(table.into_inner()),
        Err(error) => {
            let why = display::line(error.message().as_bytes()).to_string();
            Err(error.span().map_or_else(|| Wrong::whole(&why), |span| Wrong::at(text, span, &why)))
        }
    }
}
