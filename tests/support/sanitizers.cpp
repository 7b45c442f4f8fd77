// What sanitizers are to overlook in libraries that are not ours.

extern "C" const char* __lsan_default_suppressions();

// libpqxx 6.4.5 forgets one PGresult when a connection breaks: it asks the dead
// connection for its encoding before it has put the result into its care.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpqxx-6.4\n";
}
