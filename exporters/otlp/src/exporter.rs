//! The exporter: encodes a batch, compresses it, and hands it to delivery.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use telemark_sdk::metrics::{Aggregation, TemporalityPreference};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::config::Config;
use crate::delivery::Delivery;
use crate::encode::Encode;
use crate::settings::{Compression, Protocol};
use crate::transport::Transport;

/// The maximum size in bytes of a buffer that is kept for the next batch.
const MAX_KEPT: usize = 4 << 20;

/// Exports a signal with OTLP over HTTP or gRPC.
///
/// Connects on the first export, keeps the connection open, and replaces it if it is lost. If the receiver is temporarily
/// unable to accept a batch, the export is retried within the timeout. A rejected batch is dropped and counted.
///
/// ```no_run
/// use telemark_otlp::OtlpExporter;
/// use telemark_sdk::config::Env;
/// use telemark_sdk::signal::Traces;
///
/// # fn main() -> Result<(), telemark_sdk::ConfigError> {
/// let exporter = OtlpExporter::<Traces>::from_env(&Env::process())?;
/// # let _ = exporter;
/// # Ok(())
/// # }
/// ```
///
/// spec: protocol/exporter.md, opentelemetry-proto docs/specification.md
pub struct OtlpExporter<S: Encode> {
    config: Config,
    preferences: S::Preferences,
    cache: S::Cache,
    /// The encoded batch. Its memory is reused.
    message: Vec<u8>,
    /// The compressed batch. Its memory is reused.
    compressed: Vec<u8>,
    delivery: Delivery,
    is_shut_down: bool,
}

impl<S: Encode> OtlpExporter<S> {
    pub(crate) fn new(config: Config, preferences: S::Preferences) -> Self {
        OtlpExporter {
            delivery: Delivery::new(Transport::new(&config), config.retry),
            config,
            preferences,
            cache: S::Cache::default(),
            message: Vec::new(),
            compressed: Vec::new(),
            is_shut_down: false,
        }
    }

    /// Encodes the batch into the bytes to send.
    fn encode(&mut self, batch: Batch<'_, S>) -> Result<Vec<u8>, ExportError> {
        let headroom = self.delivery.headroom();
        let items = S::count(batch);
        let mut message = cleared(&mut self.message, headroom);
        match self.config.protocol {
            Protocol::HttpJson => S::json(batch, &mut self.cache, &mut message),
            Protocol::HttpProtobuf | Protocol::Grpc => S::protobuf(batch, &mut self.cache, &mut message),
        }
        // spec: the limit also applies before compression. The buffer of an oversized message is not kept.
        self.check_size(message.len() - headroom, items)?;
        if self.config.compression == Compression::Gzip {
            let mut compressed = cleared(&mut self.compressed, headroom);
            let result = compress(&message[headroom..], &mut compressed);
            if message.len() <= MAX_KEPT {
                self.message = message;
            }
            result?;
            self.check_size(compressed.len() - headroom, items)?;
            message = compressed;
        }
        self.delivery.frame(&mut message);
        Ok(message)
    }

    fn check_size(&self, len: usize, items: usize) -> Result<(), ExportError> {
        let (limit, noun) = (self.config.max_request_size, S::ITEMS);
        if len <= limit {
            return Ok(());
        }
        let message = format!("{items} {noun} make a request of {len} bytes, the limit is {limit}: not sent");
        Err(ExportError::too_large(message))
    }

    /// Keeps the memory for the next batch unless a closing connection still holds it or it is far larger than usual.
    fn reclaim(&mut self, body: Bytes) {
        if !body.is_unique() || body.len() > MAX_KEPT {
            return;
        }
        let slot = if self.config.compression == Compression::Gzip { &mut self.compressed } else { &mut self.message };
        *slot = Vec::from(body);
    }
}

impl OtlpExporter<Metrics> {
    /// Returns the temporality that the reader of this exporter should use.
    ///
    /// Set in code or by `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`; cumulative by default.
    pub fn temporality_preference(&self) -> TemporalityPreference {
        self.preferences.temporality.unwrap_or_default()
    }

    /// Returns the aggregation that the reader of this exporter should use for histograms that no view selects.
    ///
    /// Set in code or by `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`; by default [`Aggregation::Default`], a
    /// histogram with explicit buckets.
    pub fn default_histogram_aggregation(&self) -> Aggregation {
        self.preferences.histogram.clone().unwrap_or_default()
    }
}

impl<S: Encode> Exporter<S> for OtlpExporter<S> {
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        if self.is_shut_down {
            return Err(ExportError::shutdown());
        }
        // spec: empty requests should not be sent
        if batch.is_empty() {
            return Ok(ExportReport::accepted());
        }
        let deadline = deadline.min(Deadline::after(self.config.timeout));
        let message = Bytes::from(self.encode(batch)?);
        let result = self.delivery.deliver(&message, deadline);
        self.reclaim(message);
        result
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        // Every export is complete when it returns, so there is nothing to flush.
        self.is_shut_down = true;
        self.delivery.close();
        Ok(())
    }

    fn destination(&self) -> String {
        let (protocol, endpoint) = (self.config.protocol, &self.config.endpoint);
        match protocol {
            // Without the path, which for gRPC is always that of the service.
            Protocol::Grpc => format!("{protocol} to {}://{}", endpoint.scheme(), endpoint.authority),
            _ => format!("{protocol} to {endpoint}"),
        }
    }

    fn server(&self) -> Option<(String, u16)> {
        let endpoint = &self.config.endpoint;
        Some((endpoint.host.clone(), endpoint.port))
    }

    fn pause(&self) -> Duration {
        self.delivery.pause_left()
    }

    fn component_type(&self) -> &'static str {
        S::COMPONENT_TYPES.for_protocol(self.config.protocol)
    }
}

/// Takes the buffer and resets its content to `headroom` zero bytes.
fn cleared(buffer: &mut Vec<u8>, headroom: usize) -> Vec<u8> {
    let mut taken = std::mem::take(buffer);
    taken.clear();
    taken.resize(headroom, 0);
    taken
}

#[cfg(feature = "gzip")]
fn compress(message: &[u8], out: &mut Vec<u8>) -> Result<(), ExportError> {
    use std::io::Write;
    // The fastest level achieves most of the compression in a fraction of the time.
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    encoder
        .write_all(message)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|error| ExportError::other("gzip failed").with_source(error))
}

#[cfg(not(feature = "gzip"))]
fn compress(_: &[u8], _: &mut Vec<u8>) -> Result<(), ExportError> {
    Err(ExportError::other("the feature `gzip` of telemark-otlp is off"))
}

impl<S: Encode> fmt::Debug for OtlpExporter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpExporter").field("signal", &S::NAME).field("config", &self.config).finish_non_exhaustive()
    }
}
