//! The socket of a connection, and whether its client still reads.
//!
//! A client that stops reading fills the buffers of the kernel. From then on no write makes progress, while the
//! connection, its response and the buffers stay. Such a connection is closed after `server.send_timeout`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The socket of a connection, which reports the progress of its writes.
pub(in crate::http) struct Socket {
    stream: TcpStream,
    progress: Progress,
}

/// The progress of the writes to one socket. Clones share it.
#[derive(Clone, Default)]
pub(in crate::http) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Since when a write waits for the client. `None`: no write waits.
    blocked: Mutex<Option<Instant>>,
    changed: Notify,
    stalled: AtomicBool,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Each response is written at once, and Nagle's algorithm would only delay it.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            progress: Progress::default(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.progress.0.stalled.load(Ordering::Relaxed) {
            // The kernel would keep the unread bytes for minutes after a normal close.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Progress {
    /// Completes when a write has waited for `limit` without any progress.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let changed = self.0.changed.notified();
            let Some(since) = *self.0.blocked.lock() else {
                changed.await;
                continue;
            };
            tokio::select! {
                () = changed => {}
                () = sleep_until(since + limit) => {
                    if *self.0.blocked.lock() == Some(since) {
                        self.0.stalled.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            }
        }
    }

    fn record<T>(&self, write: &Poll<T>) {
        let mut blocked = self.0.blocked.lock();
        if blocked.is_some() == write.is_pending() {
            return;
        }
        *blocked = write.is_pending().then(Instant::now);
        self.0.changed.notify_one();
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress.record(&written);
        written
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.progress.record(&written);
        written
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
