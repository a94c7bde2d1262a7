//! A child that is told what to do on its standard input, and answers in lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// It is killed with this.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Process {
    /// Returns when it says that it is ready.
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take().expect("it was asked for");
        let says = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut process = Self { child, orders, says };
        assert_eq!(process.says(), "ready");
        process
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).unwrap();
    }

    pub(super) fn order(&mut self, order: &str) {
        if let Err(error) = writeln!(self.orders, "{order}") {
            panic!("it takes no orders any more, {order} for one ({error}): {:?}", self.child.wait());
        }
    }

    /// Its next line.
    pub(super) fn says(&mut self) -> String {
        let mut line = String::new();
        if self.says.read_line(&mut line).unwrap() == 0 {
            panic!("it ended, and was to say something: {:?}", self.child.wait());
        }
        line.trim_end().to_owned()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(super) fn wait(&mut self) {
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
