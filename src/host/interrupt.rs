//! Ctrl-C ends a run between two events; a second one ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the run to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
    /// Whoever ends all ends this one.
    parent: Option<Arc<AtomicBool>>,
}

/// Exit status of a process that was interrupted.
const INTERRUPTED: i32 = 130;

impl Interrupt {
    /// Listens for Ctrl-C on a thread of its own.
    ///
    /// # Errors
    /// The system does not let us listen.
    pub fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        // Registered here and not on the thread, so that no Ctrl-C after this line ends the process unasked.
        let mut signals = {
            let _entered = runtime.enter();
            #[cfg(unix)]
            let signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
            #[cfg(windows)]
            let signals = tokio::signal::windows::ctrl_c()?;
            signals
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                while signals.recv().await.is_some() {
                    if flag.requested.swap(true, Ordering::Relaxed) {
                        std::process::exit(INTERRUPTED);
                    }
                }
            });
        })?;
        Ok(interrupt)
    }

    /// One for a single run of many: it can be ended alone, and ends with all the others.
    #[must_use]
    pub fn of_one(&self) -> Self {
        Self { requested: Arc::default(), parent: Some(Arc::clone(&self.requested)) }
    }

    /// Asks the run to end, as Ctrl-C does.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        let is_set = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        is_set(&self.requested) || self.parent.as_ref().is_some_and(is_set)
    }
}
