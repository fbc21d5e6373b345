//! Loops compiled once per instruction set and picked at run time, so no target flags are needed.

use pulp::{Arch, Simd, WithSimd};

/// Runs a loop compiled for the widest vectors of this machine; the closure has to be `#[inline(always)]`.
///
/// Not `arch.dispatch(closure)`: that calls through `FnOnce`, and the shim around a closure which merely borrows is
/// not inlined, so its body would be compiled without the instruction set.
pub fn vectorised(arch: Arch, body: impl FnMut()) {
    struct Loop<F>(F);

    impl<F: FnMut()> WithSimd for Loop<F> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) {
            (self.0)();
        }
    }

    arch.dispatch(Loop(body));
}
