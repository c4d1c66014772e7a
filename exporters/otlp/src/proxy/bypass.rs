//! `NO_PROXY`: the hosts that are reached directly.
//!
//! There is no standard. An entry is `*`, a host name, which includes its subdomains, an address or a network (`10.0.0.0/8`). A name or
//! an address may be followed by a port. Names are compared without resolving them, as curl and Go do.

use std::net::IpAddr;

/// The hosts that are reached without a proxy.
#[derive(Debug, Default)]
pub(super) struct Bypass {
    rules: Vec<Rule>,
    /// Entries that cannot be used.
    pub(super) unusable: Vec<String>,
}

#[derive(Debug)]
enum Rule {
    All,
    Host { host: Host, port: Option<u16> },
    Network { address: u128, bits: u32, is_v4: bool },
}

#[derive(Debug)]
enum Host {
    /// A name in lower case. It includes its subdomains.
    Name(String),
    Address(IpAddr),
}

impl Bypass {
    pub(super) fn parse(list: &str) -> Self {
        let mut bypass = Bypass::default();
        for entry in list.split([',', ' ', '\t']).map(str::trim).filter(|entry| !entry.is_empty()) {
            match rule(entry) {
                Some(rule) => bypass.rules.push(rule),
                None => bypass.unusable.push(entry.to_owned()),
            }
        }
        bypass
    }

    /// Returns true if this host is reached directly.
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let host = host_of(host);
        self.rules.iter().any(|rule| match (rule, &host) {
            (Rule::All, _) => true,
            (Rule::Host { port: Some(only), .. }, _) if *only != port => false,
            (Rule::Host { host: Host::Address(rule), .. }, Host::Address(address)) => rule == address,
            (Rule::Host { host: Host::Name(rule), .. }, Host::Name(name)) => {
                name.strip_suffix(rule.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Rule::Network { address, bits, is_v4 }, Host::Address(host)) => {
                *is_v4 == host.is_ipv4() && is_within(number(*host), *address, *bits, *is_v4)
            }
            _ => false,
        })
    }
}

fn host_of(text: &str) -> Host {
    match text.parse::<IpAddr>() {
        Ok(address) => Host::Address(address.to_canonical()),
        Err(_) => Host::Name(text.trim_end_matches('.').to_ascii_lowercase()),
    }
}

fn rule(entry: &str) -> Option<Rule> {
    if entry == "*" {
        return Some(Rule::All);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        return network(address.parse().ok()?, bits.parse().ok()?);
    }
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Rule::Host { host: Host::Address(address.to_canonical()), port: None });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.strip_prefix('*').unwrap_or(host).trim_start_matches('.');
    match host_of(host) {
        Host::Name(name) if name.is_empty() || name.contains(['*', ':', '[', ']', '@']) => None,
        host => Some(Rule::Host { host, port }),
    }
}

/// Returns the network of the addresses with the first `bits` of this one. Like a host, a network of IPv4 addresses that are written as
/// IPv6 addresses is one of IPv4 (`::ffff:10.0.0.0/104` is `10.0.0.0/8`).
fn network(address: IpAddr, bits: u32) -> Option<Rule> {
    /// The length of `::ffff:` in bits.
    const MAPPED: u32 = 96;
    let (address, bits) = match (address, address.to_canonical()) {
        (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if bits >= MAPPED => (canonical, bits - MAPPED),
        _ => (address, bits),
    };
    let is_v4 = address.is_ipv4();
    (bits <= if is_v4 { 32 } else { 128 }).then(|| Rule::Network { address: number(address), bits, is_v4 })
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn is_within(address: u128, network: u128, bits: u32, is_v4: bool) -> bool {
    let length = if is_v4 { 32 } else { 128 };
    // A shift by all bits of the number is an overflow.
    let differing = (address ^ network).checked_shr(length - bits).unwrap_or(0);
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Compares the hosts that the list covers with `expected`.
    fn check(list: &str, hosts: &[&str], expected: &[&str]) {
        let bypass = Bypass::parse(list);
        let covered = hosts.iter().copied().filter(|host| {
            let (name, port) = host.rsplit_once('|').unwrap_or((host, "4318"));
            bypass.covers(name, port.parse().unwrap())
        });
        assert_eq!(covered.collect::<Vec<_>>(), expected, "{list}");
    }

    #[test]
    fn names_include_their_subdomains() {
        let hosts = ["example.com", "EXAMPLE.com.", "a.example.com", "badexample.com", "example.org", "com"];
        let ours = &hosts[..3];
        for list in ["example.com", ".example.com", "*.example.com", "x, Example.Com. ,y", "x example.com"] {
            check(list, &hosts, ours);
        }
        check("*", &hosts, &hosts);
        check("", &hosts, &[]);
    }

    #[test]
    fn ports() {
        let hosts = ["h|4317", "h|4318", "a.h|4317", "10.0.0.1|80", "10.0.0.1|81", "::1|80", "::1|81"];
        check("h:4317,10.0.0.1:80,[::1]:81", &hosts, &["h|4317", "a.h|4317", "10.0.0.1|80", "::1|81"]);
        check("[::1]", &hosts, &["::1|80", "::1|81"]);
        check("::1,10.0.0.1", &hosts, &hosts[3..]);
    }

    #[test]
    fn networks() {
        let hosts = ["10.0.0.1", "10.255.1.1", "11.0.0.1", "::ffff:10.1.1.1", "fd00::1", "fe80::1", "10.example.com"];
        check("10.0.0.0/8", &hosts, &["10.0.0.1", "10.255.1.1", "::ffff:10.1.1.1"]);
        check("10.0.0.1/32", &hosts, &["10.0.0.1"]);
        check("0.0.0.0/0", &hosts, &["10.0.0.1", "10.255.1.1", "11.0.0.1", "::ffff:10.1.1.1"]);
        check("fd00::/8", &hosts, &["fd00::1"]);
        check("::/0", &hosts, &["fd00::1", "fe80::1"]);
    }

    #[test]
    fn ipv4_addresses_may_be_written_as_ipv6_addresses() {
        let hosts = ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203", "11.0.0.1", "::10.1.2.3", "::ffff:0:10.1.2.3"];
        let same = &hosts[..3];
        for list in [
            "::ffff:10.1.2.3",
            "[::ffff:10.1.2.3]:4318",
            "::FFFF:10.0.0.0/104",
            "::ffff:10.1.2.3/128",
            "::ffff:a00:0/104",
            "10.1.2.3",
        ] {
            check(list, &hosts, same);
        }
        check("::ffff:0:0/96", &hosts, &hosts[..4]);
        // Parts of the prefix are no network of IPv4.
        check("::ffff:0:0/95", &hosts, &[]);
        check("::/96", &hosts, &["::10.1.2.3"]);
        assert_eq!(Bypass::parse("::ffff:10.0.0.0/129").unusable, ["::ffff:10.0.0.0/129"]);
    }

    #[test]
    fn unusable_entries_are_named() {
        let unusable = |list| Bypass::parse(list).unusable;
        assert_eq!(
            unusable("a,10.0.0.0/33,b:x,[::1]:99999,c*d,x/8,."),
            ["10.0.0.0/33", "b:x", "[::1]:99999", "c*d", "x/8", "."]
        );
        assert!(unusable("localhost,127.0.0.1,::1,.svc.cluster.local,169.254.0.0/16").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(list in "[0-9a-f:./*,\\[\\] ]{0,40}|\\PC{0,40}", host in "[0-9a-f:.]{0,20}|\\PC{0,20}", port: u16) {
            Bypass::parse(&list).covers(&host, port);
        }

        #[test]
        fn a_network_covers_exactly_the_addresses_with_its_prefix(network: u32, bits in 0u32..=32, address: u32) {
            let list = format!("{}/{bits}", std::net::Ipv4Addr::from(network));
            let host = std::net::Ipv4Addr::from(address).to_string();
            let expected = (0..bits).all(|bit| (network >> (31 - bit)) & 1 == (address >> (31 - bit)) & 1);
            prop_assert_eq!(Bypass::parse(&list).covers(&host, 1), expected);
        }
    }
}
