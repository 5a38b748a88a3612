//! A pattern of an exclusion, and what it matches: rsync's own rules, in its manual under "PATTERN MATCHING RULES".
//!
//! `tests/matcher.rs` compares this with the real rsync on random patterns and trees.

use std::ops::Range;

/// A pattern as rsync reads it.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The bytes to compare, or what they mean where they hold a wildcard.
    text: Text,
    /// It begins with a slash: it matches from the root only.
    is_anchored: bool,
    /// It ends with a slash: it matches directories only.
    only_dirs: bool,
    /// How many slashes it has, without a trailing one.
    slashes: usize,
    /// It has `**`, which matches slashes.
    is_deep: bool,
    /// It begins with `**`.
    begins_deep: bool,
    /// It ends with `***`, so that `dir/***` matches `dir` itself.
    ends_deep: bool,
}

#[derive(Debug, Clone)]
enum Text {
    Literal(Vec<u8>),
    Wild(Vec<Token>),
}

/// A part of a pattern with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: anything but a slash.
    Any,
    /// `[…]`: one of these bytes, and never a slash.
    Class(Box<[bool; 256]>),
    /// `*`: any number of bytes, none of them a slash.
    Star,
    /// `**`: any number of bytes.
    DoubleStar,
    /// A class without an end, or a backslash at the end, matches nothing.
    Never,
}

impl Pattern {
    /// Reads a pattern without its `+` or `-`.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        let (pattern, only_dirs) = match pattern {
            [rest @ .., b'/'] if !rest.is_empty() => (rest, true),
            _ => (pattern, false),
        };
        let double_star = pattern.windows(2).position(|pair| pair == b"**");
        let is_wild = pattern.iter().any(|byte| b"*[?".contains(byte));
        let (rest, is_anchored) = match pattern {
            [b'/', rest @ ..] => (rest, true),
            _ => (pattern, false),
        };
        Self {
            // A backslash is itself where there is no wildcard.
            text: if is_wild { Text::Wild(tokens(rest)) } else { Text::Literal(rest.to_vec()) },
            is_anchored,
            only_dirs,
            slashes: memchr::memchr_iter(b'/', pattern).count(),
            is_deep: double_star.is_some(),
            begins_deep: double_star == Some(0),
            ends_deep: double_star.is_some() && pattern.ends_with(b"***"),
        }
    }

    /// The last name of what it matches, where that is always the same.
    #[must_use]
    pub fn last_name(&self) -> Option<&[u8]> {
        match &self.text {
            Text::Literal(text) => text.rsplit(|byte| *byte == b'/').next(),
            Text::Wild(_) => None,
        }
    }

    /// Whether it looks at a name alone, wherever that is.
    #[must_use]
    pub fn is_of_names(&self) -> bool {
        self.slashes == 0 && !self.is_deep
    }

    /// Whether no path matches that begins with this byte: most patterns of a system are told apart by it.
    #[must_use]
    pub fn excludes_start(&self, first: u8) -> bool {
        let expected = match &self.text {
            Text::Wild(tokens) => tokens.first(),
            Text::Literal(_) => None,
        };
        self.is_anchored && matches!(expected, Some(Token::Byte(byte)) if *byte != first)
    }

    /// Whether it matches an entry: `path` is its path from the root without a slash in front, or its name alone where
    /// [`Pattern::is_of_names`].
    #[must_use]
    pub fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        if self.only_dirs && !is_dir {
            return false;
        }
        match &self.text {
            Text::Literal(text) if self.is_anchored => path == text,
            Text::Literal(text) => {
                path.strip_suffix(&**text).is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
            }
            Text::Wild(tokens) => self.matches_wild(tokens, path, is_dir),
        }
    }

    fn matches_wild(&self, tokens: &[Token], path: &[u8], is_dir: bool) -> bool {
        let (in_front, behind) = (self.begins_deep, is_dir && self.ends_deep);
        let extended;
        let text = if in_front || behind {
            let slash = |wanted: bool| if wanted { &b"/"[..] } else { b"" };
            extended = [slash(in_front), path, slash(behind)].concat();
            &extended
        } else {
            path
        };
        if self.is_anchored || self.begins_deep || self.is_of_names() {
            return is_match(tokens, text);
        }
        if self.is_deep {
            let starts = text.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
            return std::iter::once(0).chain(starts).any(|start| is_match(tokens, &text[start..]));
        }
        last_elements(text, self.slashes + 1).is_some_and(|range| is_match(tokens, &text[range]))
    }
}

/// Where the last `count` names of a path stand, if it has as many.
fn last_elements(path: &[u8], count: usize) -> Option<Range<usize>> {
    let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    let mut starts = slashes.map(|(at, _)| at + 1).chain([0]);
    starts.nth(count - 1).map(|start| start..path.len())
}

fn tokens(pattern: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        let (token, after) = match (byte, after) {
            (b'*', [b'*', ..]) => {
                let stars = after.iter().take_while(|byte| **byte == b'*').count();
                (Token::DoubleStar, &after[stars..])
            }
            (b'*', _) => (Token::Star, after),
            (b'?', _) => (Token::Any, after),
            (b'[', _) => match class(after) {
                Some((class, after)) => (Token::Class(Box::new(class)), after),
                None => (Token::Never, &after[after.len()..]),
            },
            (b'\\', [escaped, after @ ..]) => (Token::Byte(*escaped), after),
            (b'\\', []) => (Token::Never, after),
            (byte, _) => (Token::Byte(byte), after),
        };
        found.push(token);
        rest = after;
    }
    found
}

/// Reads a class behind its opening bracket; `None` for one that has no end or names a class that does not exist.
fn class(text: &[u8]) -> Option<([bool; 256], &[u8])> {
    let (is_negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut class = [false; 256];
    let mut add = |from: u8, to: u8| {
        class.iter_mut().take(usize::from(to) + 1).skip(from.into()).for_each(|member| *member = true);
    };
    // What a range begins with.
    let mut before: Option<u8> = None;
    let mut is_first = true;
    loop {
        let (&byte, after) = rest.split_first()?;
        if byte == b']' && !is_first {
            rest = after;
            break;
        }
        is_first = false;
        (before, rest) = match (byte, after) {
            (b'\\', [escaped, after @ ..]) => {
                add(*escaped, *escaped);
                (Some(*escaped), after)
            }
            (b'\\', []) => return None,
            (b'-', [next, after @ ..]) if before.is_some() && *next != b']' => {
                let (to, after) = match (next, after) {
                    (b'\\', [to, after @ ..]) => (to, after),
                    (b'\\', []) => return None,
                    _ => (next, after),
                };
                add(before.unwrap_or(*to), *to);
                (None, after)
            }
            (b'[', [b':', named @ ..]) => {
                let end = named.iter().position(|byte| *byte == b']')?;
                if let Some(name) = named[..end].strip_suffix(b":") {
                    (0..=u8::MAX).filter(named_class(name)?).for_each(|byte| add(byte, byte));
                    (None, &named[end + 1..])
                } else {
                    // Without a colon before the bracket it is an ordinary member.
                    add(b'[', b'[');
                    (Some(b'['), after)
                }
            }
            (byte, after) => {
                add(byte, byte);
                (Some(byte), after)
            }
        };
    }
    if is_negated {
        for member in &mut class {
            *member = !*member;
        }
    }
    class[usize::from(b'/')] = false;
    Some((class, rest))
}

/// The classes of the C locale, in which rsync runs.
fn named_class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        // With the vertical tab, which Rust does not count.
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

/// Where to resume when a match fails: the last star and the text that it has not taken yet.
#[derive(Clone, Copy)]
struct Resume {
    token: usize,
    text: usize,
}

/// Whether the tokens match the whole text, in time that grows with the product of both lengths for each `**`.
///
/// Only the last `*` and the last `**` are resumed: a `*` ends before the next slash, so an earlier one has no other
/// choice, and a `**` takes whatever an earlier one could.
fn is_match(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let (mut star, mut double_star): (Option<Resume>, Option<Resume>) = (None, None);
    loop {
        let here = text.get(at).copied();
        let goes_on = match (tokens.get(token), here) {
            (None, None) => return true,
            (Some(Token::Star), _) => {
                star = Some(Resume { token: token + 1, text: at });
                token += 1;
                true
            }
            (Some(Token::DoubleStar), _) => {
                (star, double_star) = (None, Some(Resume { token: token + 1, text: at }));
                token += 1;
                true
            }
            (Some(expected), Some(byte)) if expected.takes(byte) => {
                (token, at) = (token + 1, at + 1);
                true
            }
            _ => false,
        };
        if goes_on {
            continue;
        }
        // The star takes one byte more, but no slash.
        if let Some(resume) =
            star.as_mut().filter(|resume| text.get(resume.text).is_some_and(|byte| *byte != b'/'))
        {
            resume.text += 1;
            (token, at) = (resume.token, resume.text);
        } else if let Some(resume) = double_star.as_mut().filter(|resume| resume.text < text.len()) {
            resume.text += 1;
            (token, at, star) = (resume.token, resume.text, None);
        } else {
            return false;
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(expected) => *expected == byte,
            Self::Any => byte != b'/',
            Self::Class(class) => class[usize::from(byte)],
            Self::Star | Self::DoubleStar | Self::Never => false,
        }
    }
}
