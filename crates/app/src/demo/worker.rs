//! One thread that owns the database, and a bounded queue before it: SQL never runs where futures run. It knows neither
//! banks nor messages.

use rusqlite::Connection;
use std::thread;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait; further callers wait themselves.
const JOBS_WAITING_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to the thread. When the last one is dropped, the thread finishes what is queued and ends.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

/// The thread is gone: it panicked, or the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database is not available")]
pub(super) struct Gone;

impl Worker {
    /// Starts the thread with `connection`.
    ///
    /// # Errors
    /// What the operating system said.
    pub(super) fn start(mut connection: Connection) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(JOBS_WAITING_MAX);
        thread::Builder::new().name("demo-bank".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut connection);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `job` on the thread and gives back what it returns. A job whose caller has gone before its turn is not run; one
    /// that has begun is finished.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !answer.is_closed() {
                // An error means that the caller has gone meanwhile.
                let _ = answer.send(job(connection));
            }
        });
        self.jobs.send(job).await.map_err(|_| Gone)?;
        result.await.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn jobs_run_in_order_and_those_of_callers_gone_do_not() {
        let worker = Worker::start(Connection::open_in_memory().unwrap()).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let worker = worker.clone();
            async move { worker.run(move |_| wait.recv().is_ok()).await }
        });
        let ran = Arc::new(AtomicBool::new(false));
        let second = tokio::spawn({
            let (worker, ran) = (worker.clone(), ran.clone());
            async move { worker.run(move |_| ran.store(true, Ordering::SeqCst)).await }
        });
        // Both are queued before the second is given up.
        while worker.jobs.capacity() == JOBS_WAITING_MAX {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(worker.run(|_| 7).await, Ok(7));
        assert!(!ran.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_dead_thread_is_an_error() {
        let worker = Worker::start(Connection::open_in_memory().unwrap()).unwrap();
        assert_eq!(worker.run(|_| -> u8 { panic!("a bug") }).await, Err(Gone));
        assert_eq!(worker.run(|_| 1).await, Err(Gone));
    }
}
