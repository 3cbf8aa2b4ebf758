//! Warnings and hints that come up while a query is evaluated.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::query::{Answer, Value};

/// What came up so far, each once. The texts are Prometheus's; its positions are left out, as the
/// parser keeps none.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
}

impl Notes {
    pub(super) fn warn(&self, text: impl Into<String>) {
        self.warnings.borrow_mut().insert(format!("PromQL warning: {}", text.into()));
    }

    pub(super) fn info(&self, text: impl Into<String>) {
        self.infos.borrow_mut().insert(format!("PromQL info: {}", text.into()));
    }

    pub(super) fn answer(self, value: Value) -> Answer {
        Answer {
            value,
            warnings: self.warnings.into_inner().into_iter().collect(),
            infos: self.infos.into_inner().into_iter().collect(),
        }
    }
}
