//! The worker accepts connections, advances those that are ready, and closes those that are overdue or surplus.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use telemark_sdk::ExportError;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::error::catch;
use telemark_sdk::runtime::{Next, Task, Wake};
use telemark_sdk::time::{Clock, Deadline, Timestamp};

use crate::connection::{Connection, Progress};
use crate::service::Site;
use crate::socket::{Phase, Socket};

/// The maximum number of connections. Each connection uses one of the program's file descriptors.
const MAX_CONNECTIONS: usize = 64;
/// The maximum total size of unsent responses in bytes. A single response may exceed it.
const MAX_UNSENT: usize = 32 << 20;
/// The pause after a failed accept, which usually means that no descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);
/// The maximum time that shutdown waits for pending responses.
const GRACE: Duration = Duration::from_millis(250);

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
/// The token of the first connection.
const FIRST: usize = 2;

/// The task of the server's thread.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) poll: Poll,
    pub(crate) events: Events,
    /// `None` after shutdown.
    pub(crate) listener: Option<TcpListener>,
    pub(crate) site: Arc<Site>,
    pub(crate) is_ending: Arc<AtomicBool>,
    /// Keeps the waker's descriptor open. A dropped server wakes the thread and would close the descriptor before the thread has seen
    /// that, which removes it from those that the thread waits for.
    pub(crate) _waker: Arc<Waker>,
    pub(crate) connections: Connections,
}

/// The connections by token, and the queue of those ready to advance.
#[derive(Default)]
pub(crate) struct Connections {
    open: HashMap<usize, Connection>,
    opened: usize,
    ready: VecDeque<usize>,
    /// True until the listener has no more connections to accept.
    may_accept: bool,
    /// If set, nothing is accepted before this time.
    pause: Option<Deadline>,
}

impl Task for Worker {
    fn first(&self) -> Duration {
        Duration::ZERO
    }

    /// Runs one turn. Between turns, the runtime handles shutdown requests.
    fn run(&mut self, _: Wake) -> Next {
        if self.listener.is_none() || self.is_ending.load(Ordering::Acquire) {
            return Next::After(Duration::MAX);
        }
        match self.turn(Deadline::NEVER) {
            Ok(()) => Next::Now,
            Err(error) => {
                diag::log(Level::Warn, "serve.poll", format_args!("{}: cannot watch the sockets: {error}", self.name));
                Next::After(PAUSE)
            }
        }
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        Ok(())
    }

    /// Keeps sending pending responses during the grace period.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.listener = None;
        let deadline = deadline.min(Deadline::after(GRACE));
        loop {
            self.connections.open.retain(|_, connection| connection.socket.state().0 == Phase::Responding);
            if self.connections.open.is_empty() || deadline.has_passed() || self.turn(deadline).is_err() {
                self.connections = Connections::default();
                return Ok(());
            }
        }
    }
}

impl Worker {
    fn turn(&mut self, deadline: Deadline) -> io::Result<()> {
        let timeout = self.connections.next_deadline().min(deadline).remaining();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => {}
                LISTENER => self.connections.may_accept = true,
                Token(token) => self.connections.queue(token),
            }
        }
        // Keep queued connections, because their events may have arrived in time but could not be processed while the
        // handler was busy.
        self.close_overdue();
        self.accept();
        for _ in 0..self.connections.ready.len() {
            let Some(token) = self.connections.ready.pop_front() else { break };
            self.advance(token);
        }
        Ok(())
    }

    fn advance(&mut self, token: usize) {
        let Some(connection) = self.connections.open.get_mut(&token) else { return };
        connection.is_queued = false;
        // A panic in hyper must end only the connection, not the server.
        let progress = catch(|| connection.advance()).unwrap_or(Progress::Done);
        match progress {
            Progress::Ready => self.connections.queue(token),
            // Sending byte by byte does not extend a client's time limit.
            Progress::Waiting if !connection.socket.state().1.has_passed() => {}
            Progress::Waiting | Progress::Done => {
                self.connections.open.remove(&token);
            }
        }
        while self.site.unsent.load(Ordering::Relaxed) > MAX_UNSENT {
            let Some(oldest) = self.connections.oldest(|other, phase| other != token && phase == Phase::Responding)
            else {
                break;
            };
            self.evict(oldest, "unsent responses take too much memory");
        }
    }

    fn close_overdue(&mut self) {
        let before = self.connections.open.len();
        self.connections.open.retain(|_, connection| connection.is_queued || !connection.socket.state().1.has_passed());
        let closed = before - self.connections.open.len();
        if closed > 0 {
            diag::log(
                Level::Debug,
                "serve.overdue",
                format_args!("{}: closed {closed} overdue connections", self.name),
            );
        }
    }

    /// Closes a connection to make room for others.
    fn evict(&mut self, token: usize, why: &str) {
        self.connections.open.remove(&token);
        diag::log(Level::Warn, "serve.evicted", format_args!("{}: closed the oldest connection: {why}", self.name));
    }

    /// Accepts waiting connections. The number per turn is limited, so that open connections also make
    /// progress.
    fn accept(&mut self) {
        if self.connections.pause.is_some_and(|pause| !pause.has_passed()) {
            return;
        }
        self.connections.pause = None;
        for _ in 0..MAX_CONNECTIONS {
            let Some(listener) = self.listener.as_ref().filter(|_| self.connections.may_accept) else { return };
            match listener.accept() {
                Ok((stream, _)) => {
                    if self.connections.open.len() >= MAX_CONNECTIONS {
                        if let Some(oldest) = self.connections.oldest(|_, _| true) {
                            self.evict(oldest, "there are too many connections");
                        }
                    }
                    // An error here affects only this client.
                    let _ = self.open(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.connections.may_accept = false,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    diag::log(
                        Level::Warn,
                        "serve.accept",
                        format_args!("{}: cannot accept a connection: {error}", self.name),
                    );
                    self.connections.pause = Some(Deadline::after(PAUSE));
                    // Closing an idle connection frees a descriptor.
                    if let Some(oldest) = self.connections.oldest(|_, phase| phase != Phase::Responding) {
                        self.evict(oldest, "the system accepts no other connection");
                    }
                    return;
                }
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream) -> io::Result<()> {
        // hyper writes the current date, and panics if it is before 1970.
        if Clock::system().now() == Timestamp::default() {
            return Err(ErrorKind::Unsupported.into());
        }
        stream.set_nodelay(true)?;
        let token = FIRST + self.connections.opened;
        self.poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        self.connections.opened += 1;
        self.connections.open.insert(token, Connection::new(Socket::new(stream), self.site.clone()));
        self.connections.queue(token);
        Ok(())
    }
}

impl Connections {
    fn queue(&mut self, token: usize) {
        // Events may still arrive for a connection that has been closed.
        let Some(connection) = self.open.get_mut(&token) else { return };
        if !connection.is_queued {
            connection.is_queued = true;
            self.ready.push_back(token);
        }
    }

    /// Returns the time when work is due even without a socket event.
    fn next_deadline(&self) -> Deadline {
        if !self.ready.is_empty() || self.may_accept && self.pause.is_none() {
            return Deadline::after(Duration::ZERO);
        }
        let deadlines = self.open.values().map(|connection| connection.socket.state().1);
        deadlines.chain(self.pause).fold(Deadline::NEVER, Deadline::min)
    }

    /// Returns the connection to close first, ordered by phase and then by the time spent in it.
    fn oldest(&self, filter: impl Fn(usize, Phase) -> bool) -> Option<usize> {
        let candidates = self.open.iter().map(|(&token, connection)| (connection.socket.state(), token));
        let candidates = candidates.filter(|&((phase, _), token)| filter(token, phase));
        candidates.min_by_key(|&((phase, deadline), _)| (phase, deadline.instant())).map(|(_, token)| token)
    }
}
