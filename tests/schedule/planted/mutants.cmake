# evented_add_mutant(<source> <to> [<text> <replacement>]..): makes a copy of a source
# file with other texts in it, for tests that have to notice. Fails where a text is not
# there exactly once, so that no fault is forgotten when the product changes.
function(evented_add_mutant source to)
  set(source "${PROJECT_SOURCE_DIR}/${source}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
  file(READ "${source}" content)
  math(EXPR last "${ARGC} - 2")
  foreach(i RANGE 2 ${last} 2)
    math(EXPR next "${i} + 1")
    # Not as lists, which code has semicolons for.
    set(text "${ARGV${i}}")
    set(replacement "${ARGV${next}}")
    string(FIND "${content}" "${text}" first)
    string(FIND "${content}" "${text}" reverse REVERSE)
    if(first EQUAL -1 OR NOT first EQUAL reverse)
      message(FATAL_ERROR
        "No fault can be planted in ${source}, since it does not have this text exactly once:\n${text}")
    endif()
    string(REPLACE "${text}" "${replacement}" content "${content}")
  endforeach()
  string(PREPEND content "#include \"schedule/planted/planted.hpp\"\n\n")
  file(CONFIGURE OUTPUT "${to}" CONTENT "@content@" @ONLY)
endfunction()

set(mutants "${CMAKE_CURRENT_BINARY_DIR}/mutants")

evented_add_mutant(actors/src/region.cpp "${mutants}/region.cpp"
  # What was held back while an entity fell asleep goes nowhere.
  [[  x.actor = nullptr;]]
  [[  if (test::planted(test::planted_fault::queue_lost_by_region))
    x.waiting.clear();
  x.actor = nullptr;]])

evented_add_mutant(actors/src/entity_actor.cpp "${mutants}/entity_actor.cpp"
  # An entity that is told to stop does so, whatever it has yet to do.
  [[  if (stopping_ && append_ == nullptr && load_ == nullptr && queue_.empty()) {]]
  [[  if (stopping_
      && ((test::planted(test::planted_fault::queue_lost_by_entity)
           && load_ == nullptr)
          || (append_ == nullptr && load_ == nullptr && queue_.empty()))) {]]
  [[  if (append_ != nullptr || load_ != nullptr)
    return;
  if (!queue_.empty()) {]]
  [[  if (!test::planted(test::planted_fault::queue_lost_by_entity) || !stopping_)
    if (append_ != nullptr || load_ != nullptr)
      return;
  if (!queue_.empty() && append_ == nullptr && load_ == nullptr) {]]
  # What was not answered is taken for not stored.
  [[  return maybe_sent
           ? failure(]]
  [[  return maybe_sent && !test::planted(test::planted_fault::outcome_guessed)
           ? failure(]]
  # A command ID is known to one actor of the entity only.
  [[    step.record = {content.command_id, content]]
  [[    step.record = {content.command_id
                     + (test::planted(test::planted_fault::command_id_forgotten)
                          ? std::to_string(incarnation_)
                          : std::string{}), content]])

evented_add_mutant(actors/src/recovery.cpp "${mutants}/recovery.cpp"
  # The state is restored, the version is not.
  [[      entity_.version = found.snapshot->version;]]
  [[      if (!test::planted(test::planted_fault::snapshot_without_version))
        entity_.version = found.snapshot->version;]])

evented_add_mutant(actors/include/evented/actors/model.hpp
  "${mutants}/include/evented/actors/model.hpp"
  # A snapshot of another shape is read all the same.
  [[      if (from.schema_version != state_version<E>())]]
  [[      if (from.schema_version != state_version<E>()
          && !test::planted(test::planted_fault::snapshot_of_any_shape))]])
