//! The result of a check.

/// The status, which is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Ok,
    /// Something needs attention.
    Warning,
    /// There is no valid, recent clone.
    Critical,
    /// The state cannot be determined.
    Unknown,
}

impl Status {
    /// The exit code by the plugin convention.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The word for it in the output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The worse of two: a known problem outranks an unknown state.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |status| match status {
            Self::Ok => 0,
            Self::Unknown => 1,
            Self::Warning => 2,
            Self::Critical => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// The numbers of a clone for graphs; `None` where unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The age of the last success, in seconds.
    pub age: Option<i64>,
    /// How long that run took, in seconds.
    pub duration: Option<f64>,
    /// Entries of every kind in the source.
    pub files: Option<u64>,
    /// Files whose contents were copied.
    pub transferred: Option<u64>,
    /// The size of all files, in bytes.
    pub size: Option<u64>,
    /// The size of the files whose contents were copied, in bytes.
    pub transferred_size: Option<u64>,
    /// Entries deleted at the destination.
    pub deleted: Option<u64>,
}

/// The result for one clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The status.
    pub status: Status,
    /// What happened and when, without the destination's name.
    pub sentence: String,
    /// Further lines.
    pub details: Vec<String>,
    /// The numbers.
    pub figures: Figures,
}

impl Finding {
    /// The state cannot be determined, for this reason.
    #[must_use]
    pub fn unknown(sentence: String) -> Self {
        Self { status: Status::Unknown, sentence, details: Vec::new(), figures: Figures::default() }
    }
}
