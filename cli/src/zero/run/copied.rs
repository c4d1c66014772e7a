//! The search for the dependencies whose copies are instrumented.

use std::fs;
use std::process::ExitCode;

use super::{Session, exit};
use crate::zero::command::Verb;
use crate::zero::rules::Rules;
use crate::zero::shadow::lock::Lock;
use crate::zero::shadow::workspace::Workspace;
use crate::zero::shadow::{LeftOut, Plan, Shadow, copies, rewrites};

impl Session {
    /// Finds the dependencies that rules name.
    pub(super) fn find_copies(
        &self,
        workspace: &mut Workspace,
        shadow: &Shadow,
        rules: &Rules,
        lock: &str,
    ) -> Result<(), ExitCode> {
        if rules.dependencies.is_empty() || lock.is_empty() {
            workspace.notes = copies::without_lock(rules);
            return Ok(());
        }
        let path = shadow.source.join("Cargo.lock");
        if self.command.verb != Verb::Explain && !path.exists() {
            // Without copies, which may not be those of Telemark's own dependencies.
            let plan = Plan { rules, lock: &Lock::parse(lock), left_out: &LeftOut::default() };
            self.write(shadow, workspace, &rewrites(workspace, plan), lock)?;
        }
        let mut arguments = copies::arguments(&self.cargo, &self.targets).map_err(exit)?;
        self.place(&mut arguments);
        let metadata = self.cargo.output(&arguments).map_err(exit)?;
        let of_shadow = Lock::parse(&fs::read_to_string(path).unwrap_or_default());
        (workspace.copies, workspace.notes) = copies::find(&metadata, rules, &of_shadow);
        Ok(())
    }
}
