//! The exporters.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use telemark_sdk::signal::{Logs, Metrics, Signal, Traces};
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use super::{metrics, records, spans, values};
use crate::model::Resource;
use crate::store::Store;

/// Copies the telemetry of this process into a store.
///
/// ```
/// use telemark_sdk::signal::Traces;
/// use telemark_viewer::{Limits, Store, ViewerExporter};
///
/// let store = Store::new(Limits::default());
/// let exporter = ViewerExporter::<Traces>::new(store);
/// # let _ = exporter;
/// ```
pub struct ViewerExporter<S> {
    store: Arc<Store>,
    destination: String,
    /// The resource of the last batch, and its copy.
    resource: Option<(telemark_sdk::Resource, Arc<Resource>)>,
    signal: PhantomData<fn(S)>,
}

impl<S: Signal> ViewerExporter<S> {
    /// Creates an exporter into this store.
    pub fn new(store: Arc<Store>) -> Self {
        ViewerExporter { store, destination: "the viewer".to_owned(), resource: None, signal: PhantomData }
    }

    /// Sets the address of the viewer, for the SDK's messages.
    pub(super) fn with_destination(mut self, address: impl fmt::Display) -> Self {
        self.destination = format!("the viewer at http://{address}/");
        self
    }

    fn resource(&mut self, resource: &telemark_sdk::Resource) -> Arc<Resource> {
        match &self.resource {
            Some((known, copy)) if known.is_same(resource) => copy.clone(),
            _ => {
                let copy = values::resource(resource, &self.store);
                self.resource = Some((resource.clone(), copy.clone()));
                copy
            }
        }
    }
}

impl<S: Signal> fmt::Debug for ViewerExporter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewerExporter").field("signal", &S::NAME).finish_non_exhaustive()
    }
}

impl Exporter<Traces> for ViewerExporter<Traces> {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        spans::add(batch, &self.resource(batch.resource), &self.store);
        Ok(ExportReport::accepted())
    }

    fn destination(&self) -> String {
        self.destination.clone()
    }
}

impl Exporter<Logs> for ViewerExporter<Logs> {
    fn export(&mut self, batch: Batch<'_, Logs>, _: Deadline) -> Result<ExportReport, ExportError> {
        records::add(batch, &self.resource(batch.resource), &self.store);
        Ok(ExportReport::accepted())
    }

    fn destination(&self) -> String {
        self.destination.clone()
    }
}

impl Exporter<Metrics> for ViewerExporter<Metrics> {
    fn export(&mut self, batch: Batch<'_, Metrics>, _: Deadline) -> Result<ExportReport, ExportError> {
        metrics::add(batch, &self.resource(batch.resource), &self.store);
        Ok(ExportReport::accepted())
    }

    fn destination(&self) -> String {
        self.destination.clone()
    }
}
