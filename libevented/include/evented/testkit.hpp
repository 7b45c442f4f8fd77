#pragma once

// Everything for testing entities without actors and without a database. What
// the actors layer adds is in <evented/actors/testkit.hpp>, the adapter to
// GoogleTest in <evented/testkit/gtest.hpp>.

#include <evented/testkit/codecs.hpp>
#include <evented/testkit/compare.hpp>
#include <evented/testkit/failure.hpp>
#include <evented/testkit/scenario.hpp>
#include <evented/testkit/show.hpp>
