//! What sfdisk is given: a pure translation of the layout.

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::prepare::Table;
use crate::prepare::layout::Placed;
use crate::prepare::wanted::{MIB, Role};

/// The longest name of a GPT partition, in UTF-16 units.
const LONGEST: usize = 36;

/// The table's own identifier, and one for each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    /// A UUID, or eight hexadecimal digits for an MBR.
    pub table: String,
    /// A UUID each.
    pub partitions: Vec<String>,
}

/// The script.
#[must_use]
pub fn script(layout: &[Placed], sector: u64, table: Table, ids: &Identifiers) -> String {
    let per_mib = MIB / sector.max(1);
    let head = match table {
        Table::Gpt => format!("label: gpt\nlabel-id: {}\n", ids.table),
        Table::Mbr => format!("label: dos\nlabel-id: 0x{}\n", ids.table),
    };
    let mut script = head + "unit: sectors\n\n";
    let starter = starter(layout);
    for (at, placed) in layout.iter().enumerate() {
        let (start, size) = (placed.start * per_mib, placed.size * per_mib);
        // Writing to a string cannot fail.
        let _ = write!(script, "start={start}, size={size}, type={}", kind(placed, table));
        match table {
            Table::Gpt => {
                if let Some(uuid) = ids.partitions.get(at) {
                    let _ = write!(script, ", uuid={uuid}");
                }
                if let Some(name) = name(placed, ids) {
                    let _ = write!(script, ", name=\"{name}\"");
                }
                if starter == Some(at) {
                    script.push_str(", attrs=\"LegacyBIOSBootable\"");
                }
            }
            Table::Mbr if starter == Some(at) => script.push_str(", bootable"),
            Table::Mbr => {}
        }
        script.push('\n');
    }
    script
}

/// The partition that a BIOS loader such as extlinux starts from: the one with /boot.
fn starter(layout: &[Placed]) -> Option<usize> {
    let holds = |point: &str| {
        let is_it = |placed: &Placed| placed.wanted.point.as_deref() == Some(Path::new(point));
        layout.iter().position(is_it)
    };
    holds("/boot").or_else(|| holds("/"))
}

fn kind(placed: &Placed, table: Table) -> &'static str {
    match (table, placed.wanted.role) {
        (Table::Gpt, Role::BiosBoot) => "21686148-6449-6E6F-744E-656564454649",
        (Table::Gpt, Role::Efi) => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        (Table::Gpt, Role::Firmware) => "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        (Table::Gpt, Role::Data) => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        (Table::Gpt, Role::Swap) => "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
        (Table::Mbr, Role::Efi) => "ef",
        (Table::Mbr, Role::Firmware) => "c",
        (Table::Mbr, Role::BiosBoot | Role::Data) => "83",
        (Table::Mbr, Role::Swap) => "82",
    }
}

/// Says what a partition is for, and is equal to no other disk's: it begins with the table's identifier.
fn name(placed: &Placed, ids: &Identifiers) -> Option<String> {
    let what = match (placed.wanted.role, &placed.wanted.point) {
        (Role::BiosBoot, _) => "bios-boot".to_owned(),
        (Role::Swap, _) => "swap".to_owned(),
        (_, Some(point)) => point.to_str()?.to_owned(),
        (_, None) => return None,
    };
    let name = format!("clone-{}:{what}", ids.table.get(..8)?);
    let is_fine = name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte));
    (is_fine && name.len() <= LONGEST).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{Identifiers, script};
    use crate::cli::prepare::Table;
    use crate::prepare::layout::place;
    use crate::prepare::wanted::{Kind, MIB, Role, Wanted};
    use std::path::Path;

    fn wanted() -> Vec<Wanted> {
        let data = |point| Wanted::new(Role::Data, Kind::Ext4, Some(Path::new(point)), 1000 * MIB);
        vec![
            data("/"),
            data("/a \"quoted\" and very long way to a directory"),
            Wanted::new(Role::Efi, Kind::Vfat, Some(Path::new("/boot/efi")), 64 * MIB),
            Wanted::new(Role::Swap, Kind::Swap, None, 64 * MIB),
        ]
    }

    fn ids(table: &str) -> Identifiers {
        Identifiers { table: table.to_owned(), partitions: (1..=5).map(|at| format!("uuid-{at}")).collect() }
    }

    #[test]
    fn a_gpt_has_names_and_uuids() {
        let mut wanted = wanted();
        wanted.push(Wanted::bios_boot());
        let layout = place(wanted, 2179 * MIB, 4096, false).unwrap();
        let expected = "label: gpt\nlabel-id: 0a3407de-014b\nunit: sectors\n\n\
            start=256, size=256, type=21686148-6449-6E6F-744E-656564454649, uuid=uuid-1, \
            name=\"clone-0a3407de:bios-boot\"\n\
            start=512, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=uuid-2, \
            name=\"clone-0a3407de:/boot/efi\"\n\
            start=16896, size=262144, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=uuid-3, \
            name=\"clone-0a3407de:/\", attrs=\"LegacyBIOSBootable\"\n\
            start=279040, size=262144, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=uuid-4\n\
            start=541184, size=16384, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, uuid=uuid-5, \
            name=\"clone-0a3407de:swap\"\n";
        assert_eq!(script(&layout, 4096, Table::Gpt, &ids("0a3407de-014b")), expected);
    }

    #[test]
    fn an_mbr_has_types_and_a_flag() {
        let layout = place(wanted(), 2130 * MIB, 512, true).unwrap();
        let expected = "label: dos\nlabel-id: 0x0a3407de\nunit: sectors\n\n\
            start=2048, size=131072, type=ef\n\
            start=133120, size=2048000, type=83, bootable\n\
            start=2181120, size=2048000, type=83\n\
            start=4229120, size=131072, type=82\n";
        assert_eq!(script(&layout, 512, Table::Mbr, &ids("0a3407de")), expected);
    }
}
