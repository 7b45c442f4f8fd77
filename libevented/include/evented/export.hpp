#pragma once

/// Marks what a shared library of this project shows. Everything else is hidden.
#define EVENTED_EXPORT [[gnu::visibility("default")]]
