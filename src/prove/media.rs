//! What a disk has that firmware can start, from its first sectors.

/// How much of a disk has to be read for this, in bytes: the table of a disk with sectors of 4096 bytes ends there.
pub const READ: usize = 34 * 4096;

/// What a disk has that firmware can start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Media {
    /// Code in its first sector, for a BIOS.
    pub has_boot_code: bool,
    /// An EFI system partition.
    pub has_esp: bool,
}

/// The part of the first sector that holds code.
const CODE: usize = 440;

/// The type of an EFI system partition in a GPT, as it is stored.
const ESP: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];

/// The same in an MBR.
const ESP_MBR: u8 = 0xef;

/// The most entries of a GPT that are looked at.
const MOST: usize = 128;

/// Reads the first sectors of a disk.
#[must_use]
pub fn read(start: &[u8]) -> Media {
    let is_signed = start.get(510..512) == Some(&[0x55, 0xaa]);
    let code = start.get(..CODE).unwrap_or_default();
    let in_mbr = is_signed && (0..4).any(|entry| start.get(446 + 16 * entry + 4) == Some(&ESP_MBR));
    let in_gpt = [512, 4096].into_iter().any(|sector| gpt_has_esp(start, sector));
    Media { has_boot_code: is_signed && code.iter().any(|byte| *byte != 0), has_esp: in_mbr || in_gpt }
}

fn gpt_has_esp(start: &[u8], sector: usize) -> bool {
    let Some(header) = start.get(sector..sector + 92).filter(|header| header.starts_with(b"EFI PART")) else {
        return false;
    };
    let number = |at: usize| {
        header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize
    };
    // The address has 64 bits, but a table that far away is none of ours.
    let (at, count, size) = (number(72), number(80), number(84));
    let Some(table) = at.checked_mul(sector).and_then(|at| start.get(at..)) else { return false };
    size >= 128 && table.chunks(size).take(count.min(MOST)).any(|entry| entry.starts_with(&ESP))
}

#[cfg(test)]
mod tests {
    use super::{ESP, Media, READ, read};

    fn gpt(sector: usize) -> Vec<u8> {
        let mut disk = vec![0; READ];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[446 + 4] = 0xee;
        disk[sector..sector + 8].copy_from_slice(b"EFI PART");
        for (at, value) in [(72, 2_u32), (80, 128), (84, 128)] {
            disk[sector + at..sector + at + 4].copy_from_slice(&value.to_le_bytes());
        }
        disk
    }

    #[test]
    fn a_gpt_with_an_esp_is_for_uefi() {
        for sector in [512, 4096] {
            let mut disk = gpt(sector);
            assert_eq!(read(&disk), Media::default());
            disk[2 * sector + 128..2 * sector + 144].copy_from_slice(&ESP);
            assert_eq!(read(&disk), Media { has_boot_code: false, has_esp: true });
            disk[0] = 0xeb;
            assert_eq!(read(&disk), Media { has_boot_code: true, has_esp: true });
        }
    }

    #[test]
    fn an_mbr_has_code_only_with_its_signature() {
        let mut disk = vec![0; READ];
        disk[3] = 0x90;
        assert_eq!(read(&disk), Media::default());
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(read(&disk), Media { has_boot_code: true, has_esp: false });
        disk[446 + 16 + 4] = 0xef;
        assert!(read(&disk).has_esp);
    }

    #[test]
    fn garbage_is_nothing() {
        assert_eq!(read(&[]), Media::default());
        let mut disk = gpt(512);
        disk[512 + 72..512 + 88].fill(0xff);
        assert_eq!(read(&disk), Media::default());
        disk[512 + 84..512 + 88].fill(0);
        assert_eq!(read(&disk), Media::default());
        assert_eq!(read(&disk[..600]), Media::default());
    }
}
