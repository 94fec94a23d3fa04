use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::time::Duration;

/// A server's process, and beside it a watcher that ends it should this process die without a
/// chance to clean up.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    #[cfg(unix)]
    watcher: Option<watch::Watcher>,
    #[cfg(unix)]
    stopped: AtomicBool,
}

impl Process {
    pub(super) fn spawn(
        program: &Path,
        config: &Path,
        option: Option<&str>,
        log: &Path,
    ) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command
            .arg(config)
            .args(option)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A Ctrl-C is for the test process; it or the watcher then ends the server.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        Ok(Self {
            #[cfg(unix)]
            watcher: watch::Watcher::over(child.id(), config.parent()),
            #[cfg(unix)]
            stopped: AtomicBool::new(false),
            child,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status if it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .ok()
            .flatten()
            .inspect(|_| self.dismiss_watcher())
    }

    /// Whether it was told to stand still.
    #[cfg(unix)]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// SIGKILL, also to a stopped process, and waits for the end.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        // Before the wait, which frees the id for others.
        self.dismiss_watcher();
        let _ = self.child.wait();
    }

    /// Waits for the end for a while.
    #[cfg(unix)]
    pub(super) fn wait(&mut self, for_at_most: Duration) -> Option<ExitStatus> {
        let start = std::time::Instant::now();
        loop {
            let ended = self.ended();
            if ended.is_some() || start.elapsed() > for_at_most {
                return ended;
            }
            std::thread::sleep(crate::wait::STEP);
        }
    }

    fn dismiss_watcher(&mut self) {
        #[cfg(unix)]
        drop(self.watcher.take());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(unix)]
mod signals {
    use std::io;
    use std::sync::atomic::Ordering;

    use rustix::io::retry_on_intr;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

    impl super::Process {
        /// SIGSTOP, and waits until it stands still: the signal alone leaves it running for a while.
        pub(in super::super) fn stop(&self) -> io::Result<()> {
            // Before it is so, and `resume` after: who looks in between leaves it alone.
            self.stopped.store(true, Ordering::SeqCst);
            kill_process(self.pid()?, Signal::STOP)?;
            // NOWAIT leaves an exit status to `Child::wait`.
            let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let pid = self.pid()?;
            retry_on_intr(|| waitid(WaitId::Pid(pid), options))?;
            Ok(())
        }

        /// SIGCONT.
        pub(in super::super) fn resume(&self) -> io::Result<()> {
            kill_process(self.pid()?, Signal::CONT)?;
            self.stopped.store(false, Ordering::SeqCst);
            Ok(())
        }

        /// SIGTERM: the server says goodbye in its own way.
        pub(in super::super) fn terminate(&self) -> io::Result<()> {
            Ok(kill_process(self.pid()?, Signal::TERM)?)
        }

        fn pid(&self) -> io::Result<Pid> {
            Pid::from_raw(self.id().cast_signed()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
}

#[cfg(unix)]
mod watch {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    /// A shell that waits at a pipe whose other end only this process holds. When this process
    /// dies, however it dies, the pipe closes, and the shell kills the server and clears its folder.
    ///
    /// `PR_SET_PDEATHSIG` would do without it, but needs `unsafe`, knows only Linux, and fires
    /// when the *thread* ends that started the server, which a test's thread does.
    #[derive(Debug)]
    pub(super) struct Watcher {
        shell: Child,
    }

    const SCRIPT: &str = r#"read -r _; kill -KILL "$1"; rm -rf -- "$2""#;

    impl Watcher {
        pub(super) fn over(server: u32, folder: Option<&Path>) -> Option<Self> {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", SCRIPT, "tidings-testkit-watcher"])
                .arg(server.to_string());
            command.arg(folder?);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            // Without a shell there is no watcher; tests run as well.
            command.spawn().ok().map(|shell| Self { shell })
        }
    }

    impl Drop for Watcher {
        fn drop(&mut self) {
            // Killed before its pipe closes, so it does nothing.
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}
