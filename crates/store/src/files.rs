//! Files that survive a crash: replaced whole or only appended to, private to the user, locked against a second process.
//!
//! It must not know what the bytes mean.

use aws_lc_rs::rand;
use rustix::fs::{Advice, CWD, RenameFlags};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    num::NonZeroU64,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Makes `path` and its missing parents, each readable by the user alone (0700). A directory that exists is left as it is.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads the whole of `path`, at most `bytes_max` of it.
///
/// # Errors
/// What the operating system says, or [`io::ErrorKind::FileTooLarge`] where the file is longer than `bytes_max`.
pub fn read_limited(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len().min(bytes_max)).unwrap_or(0));
    // One byte more than allowed tells a file that fits from one that does not, even while it grows.
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("`{}` is larger than {bytes_max} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// When a replaced file is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// In the page cache: whoever reads sees the old bytes or the new, also after the death of this process.
    Written,
    /// Synced, and so is the directory: survives the loss of power.
    Synced,
}

/// Puts `bytes` in the place of `path` in one step: written beside as `scratch` (0600), then renamed over it.
///
/// `scratch` must be on the same file system and used by one writer at a time. A crash leaves the old file or the new
/// one, and at worst a stray scratch file that the next call overwrites. Gives the new file.
///
/// # Errors
/// What the operating system says; `path` is then as it was.
pub fn replace(path: &Path, scratch: &Path, bytes: &[u8], safety: Safety) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(scratch)?;
    file.write_all(bytes)?;
    if safety == Safety::Synced {
        file.sync_all()?;
    }
    fs::rename(scratch, path)?;
    if safety == Safety::Synced
        && let Some(parent) = path.parent()
    {
        sync_directory(parent)?;
    }
    Ok(file)
}

/// Makes the file `path` (0600) of `bytes`, durable, whole or not at all; of two who do it at once one is first.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::AlreadyExists`] where there is one, and [`io::ErrorKind::Unsupported`] where
/// the file system cannot give a file its name only if the name is free.
pub fn create_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_whole_by(&[link, rename_to_free], path, bytes)
}

/// Gives a file, the first, a name that must be free, the second.
type Naming = fn(&Path, &Path) -> io::Result<()>;

/// Hard links are not everywhere: neither on FAT nor on what some container runtimes mount.
fn link(scratch: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(scratch, path)
}

fn rename_to_free(scratch: &Path, path: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(
        CWD,
        scratch,
        CWD,
        path,
        RenameFlags::NOREPLACE,
    )?)
}

/// What a file system says that knows no such call. All else is about this file.
fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL].contains(&errno))
}

fn create_whole_by(ways: &[Naming], path: &Path, bytes: &[u8]) -> io::Result<()> {
    let scratch = scratch(path)?;
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&scratch)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    let written = write().and_then(|()| {
        let mut why_not = Vec::new();
        for way in ways {
            match way(&scratch, path) {
                Err(error) if is_unsupported(&error) => why_not.push(error.to_string()),
                decided => return decided,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "the file system neither links `{}` nor renames a file to it if the name is free ({}), hint: keep the state on another file system, `--state`",
                path.display(),
                why_not.join("; ")
            ),
        ))
    });
    // Of no use any more, whatever came of it; it may have its other name by now.
    let _ = fs::remove_file(&scratch);
    written?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// A name beside `path` for a file that is to take its place, which nobody else chooses: neither another thread nor a process
/// with the same id in another container.
///
/// # Errors
/// There is no randomness.
pub fn scratch(path: &Path) -> io::Result<PathBuf> {
    let mut nonce = [0; 8];
    rand::fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{:016x}", u64::from_ne_bytes(nonce)));
    Ok(name.into())
}

/// Makes the names in a directory durable: files that were made, renamed or removed in it.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes everything on the file system of `path` durable. One flush where a sync of each of many files would be as many.
pub fn sync_filesystem(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

/// Lets the page cache give up the first `bytes` of `file`: those that are on the disk at once, so that whoever writes next gets
/// their pages while the processor still holds them; the others are set going there. It only saves time, so that a failure is
/// no matter (posix_fadvise(2), `POSIX_FADV_DONTNEED`).
pub fn forget_cached(file: &File, bytes: u64) {
    if let Some(bytes) = NonZeroU64::new(bytes) {
        let _ = rustix::fs::fadvise(file, 0, Some(bytes), Advice::DontNeed);
    }
}

/// A file that only grows. Whole appends or none: a write that the disk cuts short is taken back.
///
/// Behind its end there may be room that was filled with zeros beforehand ([`AppendFile::reserve`]): whoever reads the file
/// must tell zeros from content.
#[derive(Debug)]
pub struct AppendFile {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Where the zeros behind `bytes` end.
    reserved: u64,
    /// A short write could not be taken back: the end of the file is not what `bytes` says.
    torn: bool,
}

impl AppendFile {
    /// Makes a new file (0600). Its name is durable only after [`sync_directory`] on the parent.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::AlreadyExists`] where there is one.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            file,
            path,
            bytes: 0,
            reserved: 0,
            torn: false,
        })
    }

    /// Opens a file that exists and cuts off what lies beyond `bytes`.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::UnexpectedEof`] where the file is shorter than `bytes`.
    pub fn open_cut(path: impl Into<PathBuf>, bytes: u64) -> io::Result<Self> {
        let path = path.into();
        let file = OpenOptions::new().write(true).open(&path)?;
        let length = file.metadata()?.len();
        if length < bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("`{}` is shorter than {bytes} bytes", path.display()),
            ));
        }
        if length > bytes {
            file.set_len(bytes)?;
            file.sync_all()?;
        }
        Ok(Self {
            file,
            path,
            bytes,
            reserved: bytes,
            torn: false,
        })
    }

    /// Appends the whole of `data`, or nothing.
    ///
    /// # Errors
    /// What the operating system says. The file then ends where it ended before; where not even that could be had, every
    /// later append first tries again to cut the torn end off.
    pub fn append(&mut self, data: &[u8]) -> io::Result<()> {
        if self.torn {
            self.cut_back()?;
        }
        match self.file.write_all_at(data, self.bytes) {
            Ok(()) => {
                self.bytes += data.len() as u64;
                self.reserved = self.reserved.max(self.bytes);
                Ok(())
            }
            Err(error) => {
                self.torn = true;
                // Where this fails too, `torn` stays and the caller hears of the first trouble.
                let _ = self.cut_back();
                Err(error)
            }
        }
    }

    fn cut_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.reserved = self.bytes;
        self.torn = false;
        Ok(())
    }

    /// Fills the next `bytes` behind the end with zeros, as far as they are not yet: to sync an append into them costs half of
    /// what it costs to sync one that makes the file longer, since of its metadata nothing changes.
    ///
    /// # Errors
    /// What the operating system says; the file is then as good as before.
    pub fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        const ZEROS: &[u8] = &[0; 16 << 10];
        let end = self.bytes.saturating_add(bytes);
        while self.reserved < end {
            let length = usize::try_from(end - self.reserved).unwrap_or(usize::MAX);
            let zeros = ZEROS.get(..length).unwrap_or(ZEROS);
            self.file.write_all_at(zeros, self.reserved)?;
            self.reserved += zeros.len() as u64;
        }
        Ok(())
    }

    /// How many bytes behind the end are reserved.
    pub fn ahead(&self) -> u64 {
        self.reserved.saturating_sub(self.bytes)
    }

    /// Gives back what is reserved, so that the file ends where its content does.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn trim(&mut self) -> io::Result<()> {
        self.cut_back()
    }

    /// Takes back everything beyond `bytes`, for a caller that gives up what it appended last.
    ///
    /// # Errors
    /// What the operating system says; the next append then tries again.
    pub fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.min(bytes);
        self.torn = true;
        self.cut_back()
    }

    /// Its length: the sum of the appends that succeeded.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle on the same open file, to sync it while this one appends.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

/// A directory that this process alone may write to, until the value is dropped or the process dies.
#[derive(Debug)]
pub struct DirectoryLock {
    /// The lock is on the open file: closing it, also by dying, frees it.
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("`{}` is in use by another process; hint: stop it, or give this one a state directory of its own", .0.display())]
    Taken(PathBuf),
    /// The lock file cannot be opened.
    #[error("cannot lock `{}`: {source}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Locks `directory` (flock on the file `lock` in it), without waiting.
    ///
    /// # Errors
    /// [`LockError::Taken`] where somebody else holds it.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(source) => return Err(LockError::Io { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(directory.to_path_buf())),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn replaces_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let (path, scratch) = (directory.path().join("a"), directory.path().join("a.tmp"));
        for (bytes, safety) in [
            (&b"one"[..], Safety::Written),
            (b"two, longer", Safety::Synced),
            (b"", Safety::Synced),
        ] {
            replace(&path, &scratch, bytes, safety).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(mode(&path), 0o600);
            assert!(!scratch.exists());
        }
    }

    #[test]
    fn a_file_is_made_once_whatever_the_file_system_can() {
        const NO_LINKS: Naming = |_, _| Err(rustix::io::Errno::PERM.into());
        const BROKEN: Naming = |_, _| Err(rustix::io::Errno::IO.into());
        let directory = tempfile::tempdir().unwrap();
        let left = || fs::read_dir(directory.path()).unwrap().count();
        for (place, ways) in [
            &[link, rename_to_free][..],
            &[rename_to_free],
            &[NO_LINKS, rename_to_free],
        ]
        .into_iter()
        .enumerate()
        {
            let path = directory.path().join(place.to_string());
            create_whole_by(ways, &path, b"one").unwrap();
            let refused = create_whole_by(ways, &path, b"two").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{refused}");
            assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
            assert_eq!(left(), place + 1, "nothing else is left");
        }
        let refused = create_whole_by(&[NO_LINKS, NO_LINKS], &directory.path().join("none"), b"x").unwrap_err();
        assert_eq!((refused.kind(), left()), (io::ErrorKind::Unsupported, 3));
        assert!(refused.to_string().contains("hint:"), "{refused}");
        let broken = create_whole_by(&[NO_LINKS, BROKEN], &directory.path().join("none"), b"x").unwrap_err();
        assert_eq!(broken.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    }

    #[test]
    fn scratch_files_stand_beside_and_never_have_one_name() {
        let [one, other] = [(); 2].map(|()| scratch(Path::new("a/b.c")).unwrap());
        assert_ne!(one, other);
        assert!(one.to_str().unwrap().starts_with("a/b.c.new-"), "{one:?}");
    }

    #[test]
    fn a_failed_replace_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"old").unwrap();
        assert!(replace(&path, &directory.path().join("absent/a.tmp"), b"new", Safety::Synced).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn reserved_room_is_filled_first_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = AppendFile::create(&path).unwrap();
        file.append(b"ab").unwrap();
        file.reserve(20_000).unwrap();
        assert_eq!((file.len(), file.ahead()), (2, 20_000));
        file.append(b"cd").unwrap();
        assert_eq!((file.len(), file.ahead()), (4, 19_998));
        let read = fs::read(&path).unwrap();
        assert_eq!((read.len(), read.get(..6)), (20_002, Some(&b"abcd\0\0"[..])));
        file.reserve(19_998).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 20_002, "it was there already");
        file.append(&[b'x'; 20_000]).unwrap();
        assert_eq!((file.len(), file.ahead()), (20_004, 0), "beyond what was reserved");
        file.reserve(10).unwrap();
        file.truncate(3).unwrap();
        file.append(b"!").unwrap();
        file.reserve(10).unwrap();
        file.trim().unwrap();
        assert_eq!((fs::read(&path).unwrap(), file.ahead()), (b"abc!".to_vec(), 0));
        let mut again = AppendFile::open_cut(&path, 4).unwrap();
        again.append(b"?").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc!?");
    }

    #[test]
    fn appends_and_cuts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = AppendFile::create(&path).unwrap();
        assert!(file.is_empty());
        file.append(b"hello").unwrap();
        file.append(b" world").unwrap();
        assert_eq!((file.len(), mode(&path)), (11, 0o600));
        file.truncate(5).unwrap();
        file.append(b"!").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"hello!");
        assert_eq!(
            AppendFile::create(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(
            AppendFile::open_cut(&path, 9).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let mut file = AppendFile::open_cut(&path, 4).unwrap();
        file.append(b"p").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hellp");
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_length() {
        // The device that is always full.
        let mut file = AppendFile::open_cut("/dev/full", 0).unwrap();
        assert_eq!(file.append(b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len(), 0);
        assert!(file.append(b"x").is_err());
    }

    #[test]
    fn a_directory_has_one_owner() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let refused = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(matches!(refused, LockError::Taken(_)), "{refused}");
        assert!(refused.to_string().contains("hint:"));
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
        assert!(matches!(
            DirectoryLock::acquire(Path::new("/nonexistent")),
            Err(LockError::Io { .. })
        ));
    }

    #[test]
    fn reads_no_more_than_it_may() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        assert_eq!(read_limited(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
