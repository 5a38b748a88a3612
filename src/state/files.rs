//! The files that belong to a clone, and their removal.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::fs::dir::Dir;
use crate::fs::location::Location;
use crate::marker::Prefix;
use crate::state::{ENDING, HASHES, INDEX, Store, beside, name};

impl Store {
    /// The names of the files with what is known of a clone: those that [`Store::load`] finds, whether they can be read or
    /// not, and the index and the hashes beside each.
    pub fn files(&self, location: &Location, prefix: &Prefix) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for path in [&location.resolved, &location.given] {
            names.extend([INDEX, HASHES].map(|extension| beside(path, prefix, extension)));
            names.push(name(path, prefix));
        }
        let mut found = self.existing(names)?;
        if !found.iter().any(|name| is_state(name))
            && let Some((path, _)) = self.elsewhere(location, prefix)?
        {
            let state = path.file_name().unwrap_or_default().to_owned();
            let mut names = [INDEX, HASHES].map(|it| Path::new(&state).with_extension(it).into()).to_vec();
            names.push(state);
            found.extend(self.existing(names)?);
        }
        Ok(found)
    }

    /// The names of the files with the hashes of a clone, by whatever name it was known until now.
    pub fn hashes(&self, location: &Location, prefix: &Prefix) -> io::Result<Vec<OsString>> {
        let mut names = self.files(location, prefix)?;
        names.retain(|name| Path::new(name).extension() == Some(OsStr::new(HASHES)));
        Ok(names)
    }

    /// Removes these files. The state goes last: as long as it is there, all of it can be tried again.
    pub fn remove(&self, names: &[OsString]) -> io::Result<()> {
        let dir = Dir::open(&self.directory)?;
        let (states, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| is_state(name));
        for name in others.into_iter().chain(states) {
            dir.remove_file(name)?;
        }
        dir.sync()
    }

    /// Those of the names that are there, each once.
    fn existing(&self, names: Vec<OsString>) -> io::Result<Vec<OsString>> {
        let mut found: Vec<OsString> = Vec::new();
        for name in names {
            match std::fs::symlink_metadata(self.directory.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(_) if found.contains(&name) => {}
                Ok(_) => found.push(name),
            }
        }
        Ok(found)
    }
}

fn is_state(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(ENDING.as_bytes())
}
