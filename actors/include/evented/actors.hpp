#pragma once

// All that an application needs: entities, the journal, and CAF's actors.

#include <evented/actors/call.hpp>
#include <evented/actors/cluster.hpp>
#include <evented/actors/entities.hpp>
#include <evented/actors/error.hpp>
#include <evented/actors/journal.hpp>
#include <evented/actors/messages.hpp>
#include <evented/actors/projection.hpp>
#include <evented/actors/seam.hpp>
#include <evented/actors/subscription.hpp>
#include <evented/entity.hpp>
#include <evented/options.hpp>
#include <evented/store.hpp>
