//! The reactor, which runs one future on the calling thread and waits for its socket and its deadline.
//!
//! Replaces the Tokio runtime, which panics when few file descriptors are left or when it cannot create a thread to resolve a
//! name. With `panic = "abort"`, this would end the program. Here, every failure is an error, and the only resource is the
//! selector's descriptor. ADR 10 has the details.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use mio::net::TcpStream;
use mio::{Events, Interest, Token};
use telemark_sdk::time::Deadline;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The maximum number of bytes that are copied to be written in one call.
const MAX_JOINED: usize = 16 << 10;

/// A selector and the wakers that wait for it. Used by one thread at a time, so the locks are never contended. No lock is
/// held while a future runs.
pub(super) struct Reactor {
    selector: Mutex<Selector>,
    /// The earliest deadline in the current round.
    earliest: Mutex<Deadline>,
    /// The wakers of all pending operations. Any event wakes them all.
    wakers: Mutex<Vec<Waker>>,
}

struct Selector {
    poll: mio::Poll,
    events: Events,
}

/// True after a wake-up, so that the future is polled again before the thread waits.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Reactor {
    /// Opens the selector.
    ///
    /// # Errors
    /// Fails if the system has no file descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        // There is only one socket, and therefore only one event, at a time.
        let selector = Selector { poll: mio::Poll::new()?, events: Events::with_capacity(4) };
        Ok(Reactor { selector: Mutex::new(selector), earliest: Mutex::new(Deadline::NEVER), wakers: Mutex::default() })
    }

    /// Runs the future to completion on this thread. Takes a trait object so that the loop is compiled only once.
    ///
    /// # Errors
    /// Fails if the selector cannot wait.
    pub(super) fn block_on<T>(&self, mut future: Pin<&mut (dyn Future<Output = T> + '_)>) -> io::Result<T> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            *lock(&self.earliest) = Deadline::NEVER;
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                self.wait()?;
            }
        }
    }

    /// Waits for an event of the socket or for the earliest deadline.
    fn wait(&self) -> io::Result<()> {
        let timeout = lock(&self.earliest).remaining();
        let mut selector = lock(&self.selector);
        let Selector { poll, events } = &mut *selector;
        match poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        drop(selector);
        std::mem::take(&mut *lock(&self.wakers)).into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Returns the future's output, or `None` if the deadline passes first.
    pub(super) async fn within<T>(
        &self,
        deadline: Deadline,
        mut future: Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        std::future::poll_fn(|context| {
            // Set the deadline before the future runs, because its socket checks it.
            let outer = self.earlier(deadline);
            let polled = future.as_mut().poll(context);
            match polled {
                Poll::Ready(output) => {
                    *lock(&self.earliest) = outer;
                    Poll::Ready(Some(output))
                }
                Poll::Pending if deadline.has_passed() => {
                    *lock(&self.earliest) = outer;
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Adds a deadline to the current round and returns the previous earliest deadline.
    fn earlier(&self, deadline: Deadline) -> Deadline {
        let mut earliest = lock(&self.earliest);
        let before = *earliest;
        *earliest = before.min(deadline);
        before
    }

    /// Connects a socket.
    ///
    /// # Errors
    /// Fails if the system has no file descriptors left, or if the peer cannot be reached.
    pub(super) async fn connect(self: &Arc<Self>, address: SocketAddr) -> io::Result<Socket> {
        let mut stream = TcpStream::connect(address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        lock(&self.selector).poll.registry().register(&mut stream, Token(0), interest)?;
        let socket = Socket { stream, reactor: self.clone(), joined: Vec::new() };
        std::future::poll_fn(|context| socket.poll_connected(context)).await?;
        // A request is written as a whole, so waiting to fill a packet would only delay its end.
        socket.stream.set_nodelay(true)?;
        Ok(socket)
    }

    fn wake_on_event(&self, waker: &Waker) {
        let mut wakers = lock(&self.wakers);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connected, non-blocking TCP socket. Every operation makes a system call instead of relying on cached readiness, so no
/// event is ever missed.
pub(crate) struct Socket {
    stream: TcpStream,
    reactor: Arc<Reactor>,
    /// Slices that are written in one call, kept for its memory.
    joined: Vec<u8>,
}

impl Socket {
    fn poll_connected(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.stream.take_error()? {
            return Poll::Ready(Err(error));
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.reactor.wake_on_event(context.waker());
                Poll::Pending
            }
            connected => Poll::Ready(connected.map(drop)),
        }
    }

    /// Reads the bytes that have arrived without removing them.
    pub(super) fn poll_peek(&mut self, context: &Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_io(context, |stream| stream.peek(bytes))
    }

    /// Removes bytes that [`Self::poll_peek`] has read.
    pub(super) fn consume(&mut self, mut len: usize) -> io::Result<()> {
        let mut bytes = [0; 1024];
        while len > 0 {
            let max = len.min(bytes.len());
            match self.stream.read(&mut bytes[..max]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => len -= read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes the start of several slices in one call, which saves packets. It copies them, because `writev` raises SIGPIPE if the peer has
    /// closed the connection, which ends a program that has restored the signal's default and exports on a thread of its own.
    fn poll_write_joined(&mut self, context: &Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let first = filled.next().map_or(&[][..], |slice| slice);
        if first.len() >= MAX_JOINED || filled.next().is_none() {
            return self.poll_io(context, |stream| stream.write(first));
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        for slice in slices {
            let max = slice.len().min(MAX_JOINED - joined.len());
            joined.extend_from_slice(&slice[..max]);
        }
        let written = self.poll_io(context, |stream| stream.write(&joined));
        self.joined = joined;
        written
    }

    /// Turns a call that would block into a pending one. After the deadline, every call is pending. Otherwise, a receiver that
    /// never stops sending could keep hyper in a single poll forever, because hyper reads as long as bytes arrive.
    fn poll_io<T>(
        &mut self,
        context: &Context<'_>,
        mut call: impl FnMut(&mut TcpStream) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let deadline = *lock(&self.reactor.earliest);
        if deadline.has_passed() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match call(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.reactor.wake_on_event(context.waker());
                    return Poll::Pending;
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.get_mut().poll_io(context, |stream| stream.read(buffer.initialize_unfilled()));
        read.map_ok(|len| buffer.advance(len))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_io(context, |stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_joined(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream.shutdown(Shutdown::Write) {
            // The receiver has reset the connection, and that error is the one to report.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::time::Duration;

    #[test]
    fn a_deadline_ends_a_future_that_is_never_woken() {
        let reactor = Reactor::new().unwrap();
        let deadline = Deadline::after(Duration::from_millis(20));
        let never = Box::pin(std::future::pending::<()>());
        assert_eq!(reactor.block_on(pin!(reactor.within(deadline, never))).unwrap(), None);
        assert!(deadline.has_passed());
    }

    /// Otherwise, hyper would never return from a poll if the receiver never stops sending, because it keeps reading within
    /// one poll.
    #[test]
    fn after_the_deadline_nothing_is_read_though_there_is_more() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let reactor = Arc::new(Reactor::new().unwrap());
        let connect = pin!(reactor.connect(listener.local_addr().unwrap()));
        let mut socket = reactor.block_on(connect).unwrap().unwrap();
        listener.accept().unwrap().0.write_all(b"more").unwrap();
        while socket.stream.peek(&mut [0; 4]).is_err() {
            std::thread::yield_now();
        }
        let mut read = |deadline| {
            let mut bytes = [0; 4];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = std::future::poll_fn(|context| Pin::new(&mut socket).poll_read(context, &mut buffer));
            reactor.block_on(pin!(reactor.within(deadline, Box::pin(read)))).unwrap().map(Result::unwrap)
        };
        assert_eq!(read(Deadline::after(Duration::ZERO)), None);
        assert_eq!(read(Deadline::NEVER), Some(()));
    }

    #[test]
    fn slices_are_written_in_order_and_in_part() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let reactor = Arc::new(Reactor::new().unwrap());
        let mut socket = reactor.block_on(pin!(reactor.connect(listener.local_addr().unwrap()))).unwrap().unwrap();
        let mut peer = listener.accept().unwrap().0;
        let mut check = |slices: &[&[u8]], expected: &[u8]| {
            let slices: Vec<_> = slices.iter().map(|slice| io::IoSlice::new(slice)).collect();
            let write =
                pin!(std::future::poll_fn(|context| Pin::new(&mut socket).poll_write_vectored(context, &slices)));
            assert_eq!(reactor.block_on(write).unwrap().unwrap(), expected.len());
            let mut read = vec![0; expected.len()];
            peer.read_exact(&mut read).unwrap();
            assert_eq!(read, expected);
        };
        let large = [7; MAX_JOINED];
        check(&[], b"");
        check(&[b"", b"head", b"", b"body"], b"headbody");
        check(&[b"", b"one"], b"one");
        check(&[b"head", &large], &[b"head", &large[4..]].concat());
        check(&[&large, b"tail"], &large);
    }

    /// Runs `work` on a thread of Telemark's, which blocks signals: one that is raised stays pending.
    #[cfg(target_os = "linux")]
    fn pending_signals(work: impl FnOnce() + Send + 'static) -> u64 {
        use telemark_sdk::ExportError;
        use telemark_sdk::runtime::{Next, Runtime, Task, Wake};

        struct Work<F>(Option<F>, std::sync::mpsc::Sender<String>);

        impl<F: FnOnce() + Send + 'static> Task for Work<F> {
            fn first(&self) -> Duration {
                Duration::ZERO
            }

            fn run(&mut self, _: Wake) -> Next {
                if let Some(work) = self.0.take() {
                    work();
                    self.1.send(std::fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
                }
                Next::After(Duration::MAX)
            }

            fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
                Ok(())
            }

            fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
                Ok(())
            }
        }

        let (sender, receiver) = std::sync::mpsc::channel();
        let _task = Runtime::Thread.start("test", Work(Some(work), sender)).unwrap();
        let status = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:")).unwrap();
        u64::from_str_radix(pending.trim(), 16).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_has_closed_the_connection_raises_no_signal() {
        let pending = pending_signals(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let reactor = Arc::new(Reactor::new().unwrap());
            let mut socket = reactor.block_on(pin!(reactor.connect(listener.local_addr().unwrap()))).unwrap().unwrap();
            drop(listener.accept().unwrap());
            let slices = [io::IoSlice::new(b"a"), io::IoSlice::new(b"b")];
            loop {
                let write = std::future::poll_fn(|context| Pin::new(&mut socket).poll_write_vectored(context, &slices));
                if let Err(error) = reactor.block_on(pin!(write)).unwrap() {
                    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
                    break;
                }
                std::thread::yield_now();
            }
        });
        assert_eq!(pending, 0, "SIGPIPE is bit 12");
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again() {
        let mut polls = 0;
        let future = pin!(std::future::poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        }));
        assert_eq!(Reactor::new().unwrap().block_on(future).unwrap(), 3);
    }
}
