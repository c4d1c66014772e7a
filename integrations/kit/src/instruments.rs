//! The instruments of an integration, created on first use.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::Meter;
use opentelemetry::{InstrumentationScope, global};

/// A set of instruments `I`, created once on a given meter or on the API's global one. Clones share the set.
pub struct Instruments<I>(Arc<Inner<I>>);

struct Inner<I> {
    source: Source,
    make: fn(&Meter) -> I,
    made: OnceLock<I>,
}

enum Source {
    Off,
    Global(InstrumentationScope),
    Meter(Meter),
}

impl<I> Instruments<I> {
    /// Returns a permanently empty set.
    pub fn off(make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Off, make)
    }

    /// Returns a set that `make` creates on `meter` on first use.
    pub fn new(meter: &Meter, make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Meter(meter.clone()), make)
    }

    /// Returns a set that `make` creates on the API's global provider on first use.
    ///
    /// May be called before the provider is installed: while the global provider is the API's no-op provider, or another
    /// provider without state, each [`Instruments::get`] repeats the lookup. The first real provider is kept, even if another
    /// one replaces it later.
    pub fn global(scope: InstrumentationScope, make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Global(scope), make)
    }

    fn from_source(source: Source, make: fn(&Meter) -> I) -> Self {
        Instruments(Arc::new(Inner { source, make, made: OnceLock::new() }))
    }

    /// Returns the instruments; `None` if no provider can store measurements.
    #[inline]
    pub fn get(&self) -> Option<&I> {
        self.0.made.get().or_else(|| self.look_up())
    }

    #[cold]
    fn look_up(&self) -> Option<&I> {
        let meter = match &self.0.source {
            Source::Off => return None,
            Source::Meter(meter) => meter.clone(),
            Source::Global(scope) => {
                let provider = global::meter_provider();
                // The API does not reveal whether a provider is its no-op provider. A provider without state cannot store
                // measurements.
                if size_of_val(&*provider) == 0 {
                    return None;
                }
                provider.meter_with_scope(scope.clone())
            }
        };
        // Losing this race is harmless: both meters belong to the same provider.
        let _ = self.0.made.set((self.0.make)(&meter));
        self.0.made.get()
    }
}

impl<I> Clone for Instruments<I> {
    fn clone(&self) -> Self {
        Instruments(Arc::clone(&self.0))
    }
}

impl<I> fmt::Debug for Instruments<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.source {
            Source::Off => "Instruments(off)",
            Source::Global(_) => "Instruments(global)",
            Source::Meter(_) => "Instruments(meter)",
        })
    }
}
