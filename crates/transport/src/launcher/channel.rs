//! What travels on the socket between the gateway, a launcher and its second stage: open files one way, short reports
//! the other. Everything here is a fixed few bytes; it must not know what the files are for or who acts on a report.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

/// How many bytes a report takes on the socket.
pub(crate) const REPORT_BYTES: usize = 8;

/// The longest environment that is handed over, in bytes, separators included.
pub(crate) const ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;

/// The files that a command starts with.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// The environment, as `NAME=VALUE` entries that each end in a zero byte. In a file of memory because it may hold
    /// secrets: it is on no command line, and the launcher, which runs with an empty environment, never reads it.
    pub(crate) environment: OwnedFd,
}

impl Files {
    /// Sends the files; the receiver gets copies of its own.
    pub(crate) fn send(&self, socket: impl AsFd) -> io::Result<()> {
        let files = [
            self.stdin.as_fd(),
            self.stdout.as_fd(),
            self.stderr.as_fd(),
            self.environment.as_fd(),
        ];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // A socket carries files only along with at least one byte.
        rustix::net::sendmsg(socket, &[IoSlice::new(b"F")], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for the files. `None` means that the sender closed the socket instead.
    pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Self>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0_u8; 1];
        let received = loop {
            let mut buffers = [IoSliceMut::new(&mut byte)];
            match rustix::net::recvmsg(&socket, &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut files = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let mut files = files.by_ref().flatten();
        match (files.next(), files.next(), files.next(), files.next()) {
            (Some(stdin), Some(stdout), Some(stderr), Some(environment)) => Ok(Some(Self {
                stdin,
                stdout,
                stderr,
                environment,
            })),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the files of the command did not arrive",
            )),
        }
    }
}

/// What a launcher (or its second stage, only `Refused`) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The command runs, under this process id.
    Started {
        process_id: i32,
    },
    /// The command was not started: the step that failed and the operating system's error number.
    Refused {
        step: Step,
        error_number: i32,
    },
    Exited {
        code: i32,
    },
    Killed {
        signal: i32,
    },
    /// No descendant of the launcher is left. Always the last report of a launcher that ended in order.
    AllGone,
}

/// The steps of starting a command that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Preparing: session, parent-death signal, files, environment.
    Prepare,
    /// Going to the working directory.
    Directory,
    /// Replacing the process by the program.
    Program,
}

impl Report {
    pub(crate) fn to_bytes(self) -> [u8; REPORT_BYTES] {
        let (kind, step, number) = match self {
            Self::Started { process_id } => (b'S', 0, process_id),
            Self::Refused {
                step: Step::Prepare,
                error_number,
            } => (b'R', b'1', error_number),
            Self::Refused {
                step: Step::Directory,
                error_number,
            } => (b'R', b'2', error_number),
            Self::Refused {
                step: Step::Program,
                error_number,
            } => (b'R', b'3', error_number),
            Self::Exited { code } => (b'E', 0, code),
            Self::Killed { signal } => (b'K', 0, signal),
            Self::AllGone => (b'G', 0, 0),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, step, 0, 0, a, b, c, d]
    }

    pub(crate) fn from_bytes([kind, step, _, _, a, b, c, d]: [u8; REPORT_BYTES]) -> Option<Self> {
        let number = i32::from_le_bytes([a, b, c, d]);
        Some(match (kind, step) {
            (b'S', _) => Self::Started { process_id: number },
            (b'R', b'1') => Self::Refused {
                step: Step::Prepare,
                error_number: number,
            },
            (b'R', b'2') => Self::Refused {
                step: Step::Directory,
                error_number: number,
            },
            (b'R', b'3') => Self::Refused {
                step: Step::Program,
                error_number: number,
            },
            (b'E', _) => Self::Exited { code: number },
            (b'K', _) => Self::Killed { signal: number },
            (b'G', _) => Self::AllGone,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_socket() {
        let reports = [
            Report::Started { process_id: 4_194_303 },
            Report::Refused {
                step: Step::Prepare,
                error_number: 1,
            },
            Report::Refused {
                step: Step::Directory,
                error_number: 2,
            },
            Report::Refused {
                step: Step::Program,
                error_number: 13,
            },
            Report::Exited { code: 255 },
            Report::Killed { signal: 9 },
            Report::AllGone,
        ];
        for report in reports {
            assert_eq!(Report::from_bytes(report.to_bytes()), Some(report));
        }
        assert_eq!(Report::from_bytes(*b"?0000000"), None);
    }
}
