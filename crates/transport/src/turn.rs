//! The turns of a thread's work: all that is ready reads and thinks first, then all of it writes. Must not know what is
//! written.

/// Lets everything else that is ready on this thread come first; what follows is a write to a socket.
///
/// Writes that come together cost less than the same writes among other work: whoever reads them is woken once and finds the
/// rest, and the kernel's path through a socket stays in the caches. Of a small call's CPU time that was 8 % at 16 connections
/// and 35 % at 64. Alone on its thread a call waits for nothing: the runtime looks for news once, without blocking.
pub(crate) async fn writing() {
    tokio::task::yield_now().await;
}
