//! Work on a disk that must not be done twice at once.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::{JoinError, spawn_blocking};

/// Gives turns. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct OneAtATime(Arc<Mutex<()>>);

impl OneAtATime {
    /// Does the work on a thread that it may block, when it is its turn; the others wait without a thread. What has begun
    /// goes on, and keeps its turn, also when nobody waits for it any more.
    ///
    /// # Errors
    /// When the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = Arc::clone(&self.0).lock_owned().await;
        spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }
}
