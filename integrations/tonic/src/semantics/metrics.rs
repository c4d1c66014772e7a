//! The instruments, and the attributes of a measurement.

use std::fmt;

use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_kit::{AttributeSets, Instruments, SetKey, keys};
use tonic::Code;

use super::address::ServerAddress;
use super::methods::{Method, OTHER, SYSTEM};
use super::status::{self, Side};

// spec: semconv rpc/rpc-metrics.md: the advised boundaries, in seconds
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The histogram of one side. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct CallMetrics(Instruments<CallInstruments>);

pub(crate) struct CallInstruments {
    duration: Histogram<f64>,
    sets: AttributeSets<CallKey>,
}

impl CallMetrics {
    pub(crate) fn new(side: Side, meter: &Meter) -> Self {
        CallMetrics(Instruments::new(meter, CallInstruments::of(side)))
    }

    pub(crate) fn global(side: Side, scope: InstrumentationScope) -> Self {
        CallMetrics(Instruments::global(scope, CallInstruments::of(side)))
    }

    /// Returns the instruments, or `None` if there is no meter.
    #[inline]
    pub(crate) fn instruments(&self) -> Option<&CallInstruments> {
        self.0.get()
    }
}

impl fmt::Debug for CallMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallMetrics").field(&self.0).finish()
    }
}

impl CallInstruments {
    fn of(side: Side) -> fn(&Meter) -> Self {
        // spec: semconv rpc/rpc-metrics.md
        match side {
            Side::Client => |meter| {
                let description = "Measures the duration of an outgoing Remote Procedure Call (RPC).";
                CallInstruments::new(meter, "rpc.client.call.duration", description)
            },
            Side::Server => |meter| {
                let description = "Measures the duration of an incoming Remote Procedure Call (RPC).";
                CallInstruments::new(meter, "rpc.server.call.duration", description)
            },
        }
    }

    fn new(meter: &Meter, name: &'static str, description: &'static str) -> Self {
        let duration = meter.f64_histogram(name).with_unit("s").with_description(description);
        CallInstruments {
            duration: duration.with_boundaries(DURATION_BOUNDARIES.to_vec()).build(),
            sets: AttributeSets::new(),
        }
    }

    pub(crate) fn record(&self, seconds: f64, measured: &Measured<'_>) {
        let record = |attributes: &[_]| self.duration.record(seconds, attributes);
        self.sets.with(measured.key(), || measured.attributes(), record);
    }
}

/// The facts about a call that its measurement has.
pub(crate) struct Measured<'c> {
    pub(crate) method: &'c Method,
    pub(crate) code: Code,
    pub(crate) error_type: Option<&'static str>,
    pub(crate) server: Option<&'c ServerAddress>,
}

impl Measured<'_> {
    // spec: semconv rpc/rpc-metrics.md
    fn attributes(&self) -> Vec<KeyValue> {
        let Measured { method, code, error_type, server } = self;
        // Finding a series is fastest with sorted attributes.
        let mut list = Vec::with_capacity(6);
        list.extend(error_type.map(|error| KeyValue::new(keys::ERROR_TYPE, error)));
        list.push(KeyValue::new(keys::RPC_METHOD, method.attribute()));
        list.push(KeyValue::new(keys::RPC_STATUS_CODE, status::name(*code)));
        list.push(KeyValue::new(keys::RPC_SYSTEM_NAME, SYSTEM));
        if let Some(server) = server {
            list.push(KeyValue::new(keys::SERVER_ADDRESS, server.address.clone()));
            list.extend(server.port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        list
    }

    /// Returns the key of these attributes; `None` if one of their strings is not `'static`.
    fn key(&self) -> Option<CallKey> {
        let method = match self.method {
            Method::Kept(method) => *method,
            Method::Other => OTHER,
            Method::New(_) => return None,
        };
        let server = match self.server {
            None => None,
            Some(server) => Some((server.kept?, server.port)),
        };
        Some(CallKey { method, code: self.code, error_type: self.error_type, server })
    }
}

/// Identifies the attribute set of a call. Strings are compared by address, so equal ones may have different keys.
#[derive(Clone, Copy, Debug)]
struct CallKey {
    method: &'static str,
    code: Code,
    error_type: Option<&'static str>,
    server: Option<(&'static str, Option<u16>)>,
}

impl SetKey for CallKey {
    #[inline]
    fn hash(&self) -> usize {
        let address = |text: &'static str| text.as_ptr().addr() as u64;
        let server = self.server.map_or(0, |(host, port)| address(host) ^ u64::from(port.unwrap_or(0)).rotate_left(32));
        let mixed = address(self.method) ^ server.rotate_left(24) ^ ((self.code as u64 + 1) << 48);
        // All input bits affect the upper half of the product.
        let product = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
        (((product >> 64) as u64 ^ product as u64) >> 20) as usize
    }
}

impl PartialEq for CallKey {
    #[inline]
    fn eq(&self, other: &CallKey) -> bool {
        let same = |a: &'static str, b: &'static str| std::ptr::eq(a, b);
        same(self.method, other.method)
            && self.code == other.code
            && match (self.error_type, other.error_type) {
                (Some(a), Some(b)) => same(a, b),
                (a, b) => a.is_none() && b.is_none(),
            }
            && match (self.server, other.server) {
                (Some((a, a_port)), Some((b, b_port))) => same(a, b) && a_port == b_port,
                (a, b) => a.is_none() && b.is_none(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_key_counts() {
        let key = CallKey { method: "a.B/C", code: Code::Ok, error_type: None, server: None };
        let keys = [
            key,
            CallKey { method: "a.B/D", ..key },
            CallKey { code: Code::Internal, ..key },
            CallKey { error_type: Some("panic"), ..key },
            CallKey { server: Some(("shop", None)), ..key },
            CallKey { server: Some(("cart", None)), ..key },
            CallKey { server: Some(("shop", Some(1))), ..key },
        ];
        for (index, a) in keys.iter().enumerate() {
            for (other, b) in keys.iter().enumerate() {
                assert_eq!(a == b, index == other, "{a:?} {b:?}");
            }
        }
        assert_eq!(key.hash(), { key }.hash());
    }
}
