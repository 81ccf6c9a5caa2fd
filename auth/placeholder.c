/* Keeps the archive of an empty folder linkable; goes with the folder's first module. */
typedef int placeholder_of_auth;
