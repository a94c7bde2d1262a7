//! What is asked of the server.

use redis::{Cmd, Pipeline};

/// What is asked of the server by one caller.
pub(super) enum Commands<'a> {
    Made(Vec<Cmd>),
    /// By far the most.
    Read(Read<'a>),
}

/// A record is read, behind its `PTTL` where that is asked for, so that it never seems to live longer than it does. Where there
/// is none a lease is planted, if one is given, for so many milliseconds.
pub(super) struct Read<'a> {
    pub(super) key: &'a [u8],
    pub(super) lease: Option<(&'a [u8], u64)>,
    pub(super) with_remaining: bool,
}

/// Commands as they are sent.
pub(super) enum Made {
    Many(Vec<Cmd>),
    /// A `PTTL`, and what reads.
    Read(Option<Cmd>, Cmd),
}

impl From<Read<'_>> for Made {
    fn from(Read { key, lease, with_remaining }: Read<'_>) -> Self {
        let read = match lease {
            None => about("GET", key, 0),
            Some((lease, ms)) => {
                let mut set = about("SET", key, lease.len() + 32);
                set.arg(lease).arg("NX").arg("GET").arg("PX").arg(ms);
                set
            }
        };
        Self::Read(with_remaining.then(|| about("PTTL", key, 0)), read)
    }
}

impl From<Commands<'_>> for Made {
    fn from(commands: Commands<'_>) -> Self {
        match commands {
            Commands::Made(commands) => Self::Many(commands),
            Commands::Read(read) => read.into(),
        }
    }
}

impl Made {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Many(commands) => commands.len(),
            Self::Read(remaining, _) => 1 + usize::from(remaining.is_some()),
        }
    }

    pub(super) fn add_to(self, pipeline: &mut Pipeline) {
        match self {
            Self::Many(commands) => commands.into_iter().for_each(|command| _ = pipeline.add_command(command)),
            Self::Read(remaining, read) => {
                remaining.into_iter().for_each(|command| _ = pipeline.add_command(command));
                pipeline.add_command(read);
            }
        }
    }
}

/// A command about a key, with room for so many bytes of other arguments.
fn about(name: &str, key: &[u8], bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(7, name.len() + key.len() + bytes);
    command.arg(name).arg(key);
    command
}
