//! Compares the clock with that of a receiver, by the `Date` of a response.

use std::time::{Duration, SystemTime};

use telemark_sdk::time::{Clock, Deadline};

use crate::connection::{self, Trust};

/// The maximum time for the request and its response.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum size of the head of a response.
const MAX_HEAD: usize = 16 << 10;
/// The difference above which spans appear at the wrong place among those of other hosts. Networks and the precision of a `Date` account
/// for a few seconds.
const MAX_DIFFERENCE: Duration = Duration::from_secs(30);

/// Returns what is wrong with the clock if it differs too much from that of the HTTP server, which `trust` verifies if it has TLS. Returns
/// `None` if the server sends no date.
pub(crate) fn problem(server: (&str, u16), trust: Option<&Trust>) -> Option<String> {
    let head = head(server, trust)?;
    difference(&head, Clock::system().now().into())
}

fn difference(head: &str, now: SystemTime) -> Option<String> {
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim())
    })?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let (difference, direction) = match now.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let text = format!("this machine's clock is {} s {direction} the receiver's", difference.as_secs());
    (difference > MAX_DIFFERENCE).then_some(text)
}

/// Returns the head of the response to a request without credentials.
fn head((host, port): (&str, u16), trust: Option<&Trust>) -> Option<String> {
    let deadline = Deadline::after(TIMEOUT);
    let mut stream = connection::connect((host, port), trust, deadline).ok()?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    stream.flush().ok()?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while head.len() < MAX_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    String::from_utf8(head).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_said_with_the_direction() {
        // 1994-11-06 08:49:37
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |date: &str, expected: Option<&str>| {
            assert_eq!(
                difference(&format!("HTTP/1.1 404 Not Found\r\nDATE: {date}\r\n\r\n"), now).as_deref(),
                expected
            );
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", None);
        check("Sun, 06 Nov 1994 08:50:07 GMT", None);
        check("Sun, 06 Nov 1994 08:59:37 GMT", Some("this machine's clock is 600 s behind the receiver's"));
        check("Sun, 06 Nov 1994 08:39:37 GMT", Some("this machine's clock is 600 s ahead of the receiver's"));
        check("yesterday", None);
        assert_eq!(difference("HTTP/1.1 200 OK\r\n\r\n", now), None);
    }
}
