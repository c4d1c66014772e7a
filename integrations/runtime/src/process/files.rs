//! Opens the files of `/proc/self`, reads them up to a limit, and passes them to their parsers.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::parse::{self, Io, Stat, Status};
use super::switches::SwitchCount;

/// The maximum number of bytes read from a file. The longest file is `status`, which lists the groups of the user.
const MAX_BYTES: u64 = 1 << 20;

/// The folder where the system exposes its processes.
#[derive(Debug)]
pub(super) struct Proc {
    root: PathBuf,
    /// The names of the files that were read.
    #[cfg(test)]
    pub(super) reads: std::sync::Mutex<Vec<String>>,
}

impl Proc {
    pub(super) fn new() -> Self {
        Proc::at("/proc")
    }

    pub(super) fn at(root: impl Into<PathBuf>) -> Self {
        Proc {
            root: root.into(),
            #[cfg(test)]
            reads: std::sync::Mutex::default(),
        }
    }

    pub(super) fn stat(&self) -> Option<Stat> {
        parse::stat(&self.read("self/stat")?)
    }

    pub(super) fn status(&self) -> Option<Status> {
        self.read("self/status").map(|content| parse::status(&content))
    }

    pub(super) fn io(&self) -> Option<Io> {
        self.read("self/io").map(|content| parse::io(&content))
    }

    /// Returns the seconds since the system started.
    pub(super) fn uptime(&self) -> Option<f64> {
        parse::uptime(&self.read("uptime")?)
    }

    /// Returns the number of clock ticks in a second.
    pub(super) fn ticks_per_second(&self) -> u64 {
        // Only Alpha and Itanium have ever used another number.
        self.read("self/auxv").and_then(|content| parse::ticks_per_second(&content)).unwrap_or(100)
    }

    /// Returns the number of open file descriptors.
    pub(super) fn open_files(&self) -> Option<u64> {
        let folder = self.root.join("self/fd");
        // Since Linux 6.2, the size of the folder is the number of descriptors, which saves listing them.
        match fs::symlink_metadata(&folder).ok()?.len() {
            0 => listed(&folder),
            size => Some(size),
        }
    }

    /// Updates `count` with the switches of all threads; returns `None` if the threads cannot be listed.
    pub(super) fn count_switches(&self, count: &mut SwitchCount) -> Option<()> {
        let folder = self.root.join("self/task");
        let (mut content, mut complete) = (Vec::new(), true);
        let threads = fs::read_dir(&folder).ok()?;
        count.begin();
        for thread in threads {
            let Ok(thread) = thread else {
                complete = false;
                break;
            };
            let Some(id) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            count.add(id, || {
                read_into(&mut content, &thread.path().join("status"))?;
                parse::switches(&content)
            });
        }
        if complete {
            count.forget_the_others();
        }
        Some(())
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        #[cfg(test)]
        self.reads.lock().unwrap().push(name.to_owned());
        let mut content = Vec::new();
        read_into(&mut content, &self.root.join(name))?;
        Some(content)
    }
}

fn read_into(content: &mut Vec<u8>, path: &Path) -> Option<()> {
    content.clear();
    File::open(path).ok()?.take(MAX_BYTES).read_to_end(content).ok().map(|_| ())
}

/// Counts the entries of a folder of descriptors, excluding the descriptor used for the listing.
fn listed(folder: &Path) -> Option<u64> {
    u64::try_from(fs::read_dir(folder).ok()?.count()).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::Folder;

    #[test]
    fn listing_descriptors_does_not_count_itself() {
        let temporary = Folder::new("descriptors");
        let folder = temporary.path();
        assert_eq!(listed(folder), None, "not even itself");
        for name in ["0", "1", "2", "3"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(listed(folder), Some(3));
        assert_eq!(listed(&folder.join("0")), None, "not a folder");
    }

    #[test]
    fn a_thread_that_is_no_longer_listed_is_forgotten() {
        let root = Folder::new("forgotten");
        let (proc, mut count) = (Proc::at(root.path()), SwitchCount::default());
        let thread = root.path().join("self/task/8");
        let mut total = |voluntary: Option<u64>| {
            if let Some(voluntary) = voluntary {
                let content = format!("voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t0\n");
                fs::create_dir_all(&thread).unwrap();
                fs::write(thread.join("status"), content).unwrap();
            } else {
                fs::remove_dir_all(&thread).unwrap();
            }
            proc.count_switches(&mut count).map(|()| count.total().voluntary)
        };
        assert_eq!([total(Some(3)), total(None), total(Some(5))], [Some(3), Some(3), Some(8)]);
    }

    #[test]
    fn reading_is_bounded() {
        assert_eq!(Proc::at("/dev").read("zero").unwrap().len(), 1 << 20);
        assert_eq!(Proc::at("/dev").read("no such file"), None);
    }

    #[test]
    fn ticks_are_the_usual_ones_unless_the_system_tells_others() {
        assert_eq!(Proc::at(Folder::new("no_ticks").path()).ticks_per_second(), 100);
    }
}
