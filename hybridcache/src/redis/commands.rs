//! What is asked of the server.

use redis::{Cmd, Pipeline};

/// What is asked of the server by one caller.
pub(super) enum Commands<'a> {
    Made(Vec<Cmd>),
    /// By far the most.
    Read(Read<'a>),
}

/// A record is read, between two of its `PTTL` where that is asked for, so that it never seems to live longer than it does. Where
/// there is none a lease is planted, if one is given, for so many milliseconds.
pub(super) struct Read<'a> {
    pub(super) key: &'a [u8],
    pub(super) lease: Option<(&'a [u8], u64)>,
    pub(super) with_remaining: bool,
}

/// Commands as they are sent.
pub(super) enum Made {
    Many(Vec<Cmd>),
    /// What reads, and a `PTTL` before and after it.
    Read(Cmd, Option<[Cmd; 2]>),
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
        Self::Read(read, with_remaining.then(|| [(); 2].map(|()| about("PTTL", key, 0))))
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
            Self::Read(_, None) => 1,
            Self::Read(_, Some(_)) => 3,
        }
    }

    pub(super) fn add_to(self, pipeline: &mut Pipeline) {
        match self {
            Self::Many(commands) => commands.into_iter().for_each(|command| _ = pipeline.add_command(command)),
            Self::Read(read, None) => _ = pipeline.add_command(read),
            Self::Read(read, Some([before, after])) => {
                _ = pipeline.add_command(before).add_command(read).add_command(after);
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
