/*
 * The composition root: reads the command and runs it.
 */
#include <stdio.h>

int main(void)
{
	(void)fprintf(stderr, "restante: no command is built in yet\n");
	return 2;
}
