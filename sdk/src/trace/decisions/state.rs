//! The parts of a tracer provider that decide about spans and may change while it runs: the switches, the sampler and the configs of tracers.

use std::cell::Cell;
use std::sync::Mutex;
use std::thread::LocalKey;

use opentelemetry::InstrumentationScope;

use super::{Tail, TracerConfig};
use crate::control::{ConfigOf, Configs, Configurator, Flags, State, Switch, Switches};
use crate::error::{Contained, ExportError, catch};
use crate::process::unless_stuck;
use crate::sampling::{Decision, Sampler, SamplingRequest, SamplingResult, shut_down};
use crate::sync::{Kept, Live, Slot};
use crate::time::Deadline;
use crate::trace::SdkTracerProvider;

/// The sampler drops every span whose parent is not sampled.
const DROPS_BELOW_UNSAMPLED: Flags = Flags(Flags::FIRST);
/// The sampler samples every span whose parent is local and sampled.
const SAMPLES_BELOW_SAMPLED: Flags = Flags(Flags::FIRST << 1);
/// Some tracers may be disabled.
const HAS_CONFIGS: Flags = Flags(Flags::FIRST << 2);
/// The sampler drops every span whose parent is not sampled, and a tail sampler wants all spans.
const RECORDS_BELOW_UNSAMPLED: Flags = Flags(Flags::FIRST << 3);
/// The sampler looks at attributes.
const WANTS_ATTRIBUTES: Flags = Flags(Flags::FIRST << 4);
/// The sampler samples every span without a parent, and there is no tail sampler, which would hear of them.
const SAMPLES_ROOTS: Flags = Flags(Flags::FIRST << 5);
const FACTS: Flags = Flags(
    DROPS_BELOW_UNSAMPLED.0
        | SAMPLES_BELOW_SAMPLED.0
        | RECORDS_BELOW_UNSAMPLED.0
        | WANTS_ATTRIBUTES.0
        | SAMPLES_ROOTS.0,
);

/// The switches, the sampler and the configurator of a provider.
#[derive(Debug)]
pub(in crate::trace) struct Decisions {
    /// The switches, and what is known about the sampler, so that most spans cost one load.
    switches: Switches,
    sampler: Live<Own>,
    /// Locked during changes. True once the sampler has been shut down.
    changes: Mutex<bool>,
    configs: Configs<TracerConfig>,
    tail: Option<Tail>,
}

impl Decisions {
    pub(in crate::trace) fn new(
        sampler: Own,
        configurator: Configurator<TracerConfig>,
        tail: Option<Tail>,
        is_disabled: bool,
    ) -> Self {
        let configs = Configs::new(configurator);
        let flags = if configs.are_default() { 0 } else { HAS_CONFIGS.0 };
        Decisions {
            switches: Switches::new(is_disabled, Flags(facts(&**sampler, tail.is_some()).0 | flags)),
            sampler: Live::new(sampler),
            changes: Mutex::new(false),
            configs,
            tail,
        }
    }

    /// Returns the tail sampling, if there is one: then, every span is recorded.
    #[inline]
    pub(in crate::trace) fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// Returns the state of the switches, with the facts about the sampler.
    #[inline]
    pub(in crate::trace) fn state(&self) -> State {
        self.switches.state()
    }

    pub(in crate::trace) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.switches.set(switch, is_enabled);
    }

    /// Stops the recording for good. Returns true if it had already been stopped. Consists of one atomic operation, because it runs in
    /// forked children.
    pub(in crate::trace) fn end(&self) -> bool {
        self.switches.end()
    }

    /// Replaces the configurator.
    pub(in crate::trace) fn set_configurator(&self, configurator: Configurator<TracerConfig>) {
        let Some(turn) = unless_stuck(self.changes.try_lock(), || self.changes.lock()) else { return };
        let before = self.configs.replace_behind(&self.switches, HAS_CONFIGS, configurator);
        drop(turn);
        before.dispose();
    }

    /// Returns true if spans of this scope start. May call a function of the program.
    #[inline]
    pub(in crate::trace) fn takes(
        &self,
        state: State,
        scope: &InstrumentationScope,
        config: &ConfigOf<TracerConfig>,
    ) -> bool {
        !state.has_configs() || self.configs.get(config, scope).is_enabled()
    }

    /// Asks the sampler. A sampler that panics drops the span.
    #[inline]
    pub(in crate::trace) fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        // Written in place, because the result is large, and each of the closures would copy it.
        let mut result = SamplingResult::new(Decision::Drop);
        let asked = self.sampler.with(|sampler| catch(|| result = sampler.sample(request)));
        if let Some(Err(_)) = asked {
            crate::__warn!("sampler.panic", "the sampler panicked; the span is not recorded");
        }
        result
    }

    /// Returns the sampler's description.
    pub(in crate::trace) fn sampler_description(&self) -> String {
        let describe = |sampler: &Own| catch(|| sampler.description().into_owned()).ok();
        self.sampler.with(describe).flatten().unwrap_or("one that panics".into())
    }

    /// Replaces the sampler for spans that start from now on, and shuts the one before down. After [`Self::shut_down`], shuts
    /// `sampler` itself down.
    pub(in crate::trace) fn set_sampler(
        &self,
        sampler: Box<dyn Sampler>,
        deadline: Deadline,
    ) -> Result<(), ExportError> {
        let (known, sampler) = (facts(&*sampler, self.tail.is_some()), Contained::new(sampler));
        let lock = unless_stuck(self.changes.try_lock(), || self.changes.lock());
        let Some(has_none) = lock.filter(|has_none| !**has_none) else { return shut_down(&**sampler, deadline) };
        // Until the end of the change, a span asks one of the samplers, with everything that either may look at.
        self.switches.set_flags(FACTS, WANTS_ATTRIBUTES);
        let before = self.sampler.replace(sampler);
        self.switches.set_flags(FACTS, known);
        drop(has_none);
        let result = shut_down(&**before.as_ref(), deadline);
        drop(before);
        self.sampler.free();
        result
    }

    /// Shuts the sampler down. Later spans are not sampled by another one.
    pub(in crate::trace) fn shut_down(&self, deadline: Deadline) -> Result<(), ExportError> {
        let lock = unless_stuck(self.changes.try_lock(), || self.changes.lock());
        if lock.is_none_or(|mut has_none| std::mem::replace(&mut *has_none, true)) {
            return Ok(());
        }
        let result = self.sampler.get().map_or(Ok(()), |sampler| shut_down(&***sampler, deadline));
        self.sampler.free();
        result
    }
}

/// Changes while the provider runs.
impl SdkTracerProvider {
    /// Replaces the sampler for spans that start from now on. Shuts the one before down, which may take until `deadline`.
    pub(crate) fn set_sampler(&self, sampler: Box<dyn Sampler>, deadline: Deadline) -> Result<(), ExportError> {
        self.0.decisions.set_sampler(sampler, deadline)
    }

    /// Replaces the configurator of tracers.
    pub(crate) fn set_configurator(&self, configurator: Configurator<TracerConfig>) {
        self.0.decisions.set_configurator(configurator);
    }

    /// Sets one of the switches. While one is off, no spans start; those that have started are recorded to their end.
    pub(crate) fn set_enabled(&self, switch: Switch, is_enabled: bool) {
        self.0.decisions.set_enabled(switch, is_enabled);
    }

    pub(crate) fn is_enabled(&self, switch: Switch) -> bool {
        self.0.decisions.state().is_on(switch)
    }
}

/// Facts that let spans start without asking the sampler or the configurator.
impl State {
    #[inline]
    pub(in crate::trace) fn drops_below_unsampled(self) -> bool {
        self.has(DROPS_BELOW_UNSAMPLED)
    }

    #[inline]
    pub(in crate::trace) fn records_below_unsampled(self) -> bool {
        self.has(RECORDS_BELOW_UNSAMPLED)
    }

    #[inline]
    pub(in crate::trace) fn samples_below_sampled(self) -> bool {
        self.has(SAMPLES_BELOW_SAMPLED)
    }

    #[inline]
    pub(in crate::trace) fn samples_roots(self) -> bool {
        self.has(SAMPLES_ROOTS)
    }

    /// Returns true if the sampler looks at attributes.
    #[inline]
    pub(in crate::trace) fn wants_attributes(self) -> bool {
        self.has(WANTS_ATTRIBUTES)
    }

    /// Returns true if some tracers may be disabled.
    #[inline]
    pub(in crate::trace) fn has_configs(self) -> bool {
        self.has(HAS_CONFIGS)
    }
}

/// Returns what is known about a sampler. One that panics is asked about each span.
fn facts(sampler: &dyn Sampler, has_tail: bool) -> Flags {
    let flag = |is_set: bool, flag: Flags| if is_set { flag.0 } else { 0 };
    let drops = catch(|| sampler.drops_below_unsampled_parents()).unwrap_or(false);
    let samples = catch(|| sampler.samples_below_sampled_parents()).unwrap_or(false);
    let roots = !has_tail && catch(|| sampler.samples_roots()).unwrap_or(false);
    let wants = catch(|| sampler.wants_attributes()).unwrap_or(true);
    let below_unsampled = if has_tail { RECORDS_BELOW_UNSAMPLED } else { DROPS_BELOW_UNSAMPLED };
    Flags(
        flag(drops, below_unsampled)
            | flag(samples, SAMPLES_BELOW_SAMPLED)
            | flag(roots, SAMPLES_ROOTS)
            | flag(wants, WANTS_ATTRIBUTES),
    )
}

/// A sampler of the program.
type Own = Contained<Box<dyn Sampler>>;

impl Kept for Own {
    fn slot() -> &'static LocalKey<Slot<Self>> {
        thread_local!(static SLOT: Slot<Own> = const { Cell::new(None) });
        &SLOT
    }
}
