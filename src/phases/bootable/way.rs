//! What makes a clone start.

use crate::linux::bootable::layout::Layout;
use crate::phases::bootable::detect::Loader;
use crate::phases::bootable::layout::Disks;

/// What to do after the copy.
#[derive(Debug)]
pub struct Way {
    /// Which filesystem stands for which.
    pub layout: Layout,
    /// Where the clone's loader goes.
    pub disks: Disks,
    /// The loader that the source uses.
    pub loader: Loader,
}
