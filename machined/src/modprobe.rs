//! The kernel's module requests.
