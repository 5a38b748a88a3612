//! Runs the rows of the matrix, several at a time, and prints the table at the end. It accepts those arguments of
//! Rust's own test runner that make sense here.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::evidence::{Evidence, Fault};

/// How many rows run at a time: most of them wait for something most of the time.
const AT_A_TIME: usize = 4;

thread_local! {
    /// What this thread has panicked with.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What was asked for.
#[derive(Debug, Default)]
struct Request {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    only_ignored: bool,
    at_a_time: Option<usize>,
}

/// What became of a row.
struct Row {
    fault: &'static Fault,
    evidence: Evidence,
    failure: Option<String>,
    took: Duration,
}

/// Runs the rows that the arguments ask for; fails if one of them does.
pub fn main(faults: &'static [Fault]) -> ExitCode {
    let request = Request::read(std::env::args().skip(1));
    let faults: Vec<&'static Fault> = faults.iter().filter(|fault| request.wants(fault.name)).collect();
    if request.list {
        for fault in &faults {
            println!("{}: test", fault.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} faults", faults.len());
    let started = Instant::now();
    let rows = run(&faults, request.at_a_time.unwrap_or(AT_A_TIME));
    print_table(&rows);
    let failed: Vec<&Row> = rows.iter().filter(|row| row.failure.is_some()).collect();
    for row in &failed {
        println!("\n---- {}\n{}", row.fault.name, row.failure.as_deref().unwrap_or_default());
    }
    let result = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {} passed; {} failed; finished in {:.1} s\n",
        rows.len() - failed.len(),
        failed.len(),
        started.elapsed().as_secs_f32()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run(faults: &[&'static Fault], at_a_time: usize) -> Vec<Row> {
    set_hook(Box::new(|panic| {
        PANIC.with_borrow_mut(|text| {
            let _ = writeln!(text, "{panic}");
        });
    }));
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let row = Row::of(fault);
                    row.print();
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|row| faults.iter().position(|fault| std::ptr::eq(*fault, row.fault)));
    rows
}

impl Row {
    fn of(fault: &'static Fault) -> Self {
        let started = Instant::now();
        let mut evidence = Evidence::of(fault);
        PANIC.with_borrow_mut(String::clear);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            (fault.run)(&mut evidence);
            evidence.assert_finished();
        }));
        let failure = ended.err().map(|_| PANIC.with_borrow(String::clone));
        Self { fault, evidence, failure, took: started.elapsed() }
    }

    fn print(&self) {
        let result = if self.failure.is_none() { "ok" } else { "FAILED" };
        println!("fault {} ... {result} ({:.1} s)", self.fault.name, self.took.as_secs_f32());
    }
}

fn print_table(rows: &[Row]) {
    let width = rows.iter().map(|row| row.fault.what.chars().count()).max().unwrap_or(0);
    println!("\n{:width$}  {:15}  {:12}  {:12}  next clone exact", "Fault", "When", "Code", "Lost nothing");
    for Row { fault, evidence, failure, .. } in rows {
        println!(
            "{:width$}  {:15}  {:12}  {:12}  {}{}",
            fault.what,
            fault.when,
            evidence.codes(),
            evidence.lost_nothing(),
            evidence.was_mended(),
            if failure.is_some() { "  FAILED" } else { "" }
        );
    }
}

impl Request {
    fn read(arguments: impl Iterator<Item = String>) -> Self {
        let mut request = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name.to_owned(), Some(value.to_owned())),
                _ => (argument.clone(), None),
            };
            let mut value = || inline.clone().or_else(|| arguments.next()).unwrap_or_default();
            match name.as_str() {
                "--skip" => request.skipped.push(value()),
                "--test-threads" => request.at_a_time = value().parse().ok().filter(|number| *number > 0),
                "--exact" => request.exact = true,
                "--list" => request.list = true,
                "--ignored" => request.only_ignored = true,
                "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(value()),
                flag if flag.starts_with('-') => {}
                _ => request.filters.push(argument),
            }
        }
        request
    }

    fn wants(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact { name == filter.as_str() } else { name.contains(filter.as_str()) }
        };
        !self.only_ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}
