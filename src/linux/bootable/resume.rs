//! Where Debian's initramfs looks for a suspended system, `/etc/initramfs-tools/conf.d/resume`.

use crate::linux::bootable::Unresolved;
use crate::linux::bootable::text::{change, commented_out};

/// The clone's file, from the source's: it has no swap to resume from.
pub fn rewrite(text: &[u8]) -> Result<Vec<u8>, Unresolved> {
    change(text, |line| {
        let is_setting = line.trim_start().starts_with("RESUME=");
        let value = line.split_once('=').map_or("", |(_, value)| value.trim());
        let stays = !is_setting || matches!(value, "none" | "auto" | "");
        Ok((!stays).then(|| commented_out(line, "Swap that the clone does not have") + "\nRESUME=none"))
    })
}
