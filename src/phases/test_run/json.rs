//! `-t --json`: what would change, on standard output; `examples/test-run.schema.json` describes it.
//!
//! It is written as rsync lists it: there may be millions of entries.

use std::io::{self, BufWriter, Stdout, Write as _};

use serde::Serialize;

use crate::display;
use crate::rsync::itemized::{Change, Item};
use crate::run::Run;

/// The version of the form.
const SCHEMA: u32 = 1;

/// What would change, in numbers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    /// Entries that would be created.
    pub created: u64,
    /// Entries that would be changed.
    pub changed: u64,
    /// Entries that would be deleted.
    pub deleted: u64,
    /// Bytes that would be written.
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    path: String,
    change: &'static str,
    kind: Option<&'static str>,
    itemized: &'a str,
}

/// The document, while it is written.
#[derive(Debug)]
pub struct Document {
    /// `None` once nobody reads it any more.
    out: Option<BufWriter<Stdout>>,
    is_empty: bool,
}

impl Document {
    /// Writes all that comes before the changes.
    #[must_use]
    pub fn begin(run: &Run<'_>) -> Self {
        let mut document = Self { out: Some(BufWriter::new(io::stdout())), is_empty: true };
        document.put("{\n");
        document.field("schema", &SCHEMA);
        document.field("counterpart", &env!("CARGO_PKG_VERSION"));
        document.field("source", &display::path(&run.plan.source).to_string());
        document.field("destination", &display::path(&run.plan.destination).to_string());
        document.put("\"changes\": [");
        document
    }

    /// Adds a change.
    pub fn add(&mut self, item: Item<'_>) {
        let name = item.name.strip_suffix(b"/").unwrap_or(item.name);
        let name = if name == b"." { b"" } else { name };
        let row = Row {
            path: format!("/{}", display::line(name)),
            change: match item.change {
                Change::Create => "create",
                Change::Replace => "contents",
                Change::Attributes => "attributes",
                Change::Delete => "delete",
            },
            kind: kind(item),
            itemized: item.letters,
        };
        self.put(if self.is_empty { "\n" } else { ",\n" });
        self.is_empty = false;
        // Plain data with text keys: this cannot fail.
        self.put(&serde_json::to_string(&row).unwrap_or_default());
    }

    /// Writes the rest; `is_complete` if every change is listed.
    pub fn end(mut self, totals: Totals, is_complete: bool) {
        self.put("\n],\n");
        self.field("totals", &totals);
        self.put(&format!("\"complete\": {is_complete}\n}}\n"));
        if let Some(mut out) = self.out {
            // The exit code says what there is to say.
            let _ = out.flush();
        }
    }

    fn field(&mut self, name: &str, value: &impl Serialize) {
        let value = serde_json::to_string(value).unwrap_or_default();
        self.put(&format!("\"{name}\": {value},\n"));
    }

    fn put(&mut self, text: &str) {
        if let Some(out) = &mut self.out
            && out.write_all(text.as_bytes()).is_err()
        {
            self.out = None;
        }
    }
}

/// What an entry is; of what would be deleted rsync says only whether it is a directory.
fn kind(item: Item<'_>) -> Option<&'static str> {
    if item.change == Change::Delete {
        return item.is_dir().then_some("directory");
    }
    match item.letters.as_bytes().get(1) {
        Some(b'f') => Some("file"),
        Some(b'd') => Some("directory"),
        Some(b'L') => Some("symlink"),
        Some(b'D') => Some("device"),
        Some(b'S') => Some("special"),
        Some(_) | None => None,
    }
}
