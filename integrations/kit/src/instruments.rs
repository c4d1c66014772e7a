//! The instruments of an integration, created when they are first needed.

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
    /// Returns a set that never has instruments.
    pub fn off(make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Off, make)
    }

    /// Returns the instruments that `make` creates on `meter`, when they are first needed.
    pub fn new(meter: &Meter, make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Meter(meter.clone()), make)
    }

    /// Returns the instruments that `make` creates on the API's global provider, which is looked up when they are first needed.
    ///
    /// May be called before the provider is installed: as long as the global one is the API's no-op provider, or another
    /// one without any state, each [`Instruments::get`] looks again. The first real provider is kept; a provider that
    /// replaces it later is not seen.
    pub fn global(scope: InstrumentationScope, make: fn(&Meter) -> I) -> Self {
        Instruments::from_source(Source::Global(scope), make)
    }

    fn from_source(source: Source, make: fn(&Meter) -> I) -> Self {
        Instruments(Arc::new(Inner { source, make, made: OnceLock::new() }))
    }

    /// Returns the instruments; `None` if there is no provider that could keep a measurement.
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
                // The API does not tell whether a provider is its no-op. A provider without state can keep no measurement.
                if size_of_val(&*provider) == 0 {
                    return None;
                }
                provider.meter_with_scope(scope.clone())
            }
        };
        // Losing a race is fine: the meter is of the same provider.
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
