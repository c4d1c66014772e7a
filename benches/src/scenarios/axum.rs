//! What a layer adds to a request.
pub(super) static SCENARIO: super::Scenario =
    super::Scenario { name: "axum", about: "", subjects: &[], reference: "", measure: |_, _| Ok(Vec::new()) };
