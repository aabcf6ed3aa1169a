/*
 * no_gettext.c
 *	  Translation functions that do nothing. A stock server under a preloaded libasan hangs in
 *	  glibc's bindtextdomain; preloaded after libasan, these take its place.
 */
char *
bindtextdomain(const char *domain, const char *dir)
{
	(void) domain;
	return (char *) dir;
}

char *
textdomain(const char *domain)
{
	return (char *) domain;
}

char *
bind_textdomain_codeset(const char *domain, const char *codeset)
{
	(void) domain;
	return (char *) codeset;
}

char *
gettext(const char *text)
{
	return (char *) text;
}

char *
dgettext(const char *domain, const char *text)
{
	(void) domain;
	return (char *) text;
}

char *
dcgettext(const char *domain, const char *text, int category)
{
	(void) domain;
	(void) category;
	return (char *) text;
}

char *
dngettext(const char *domain, const char *one, const char *many, unsigned long n)
{
	(void) domain;
	return (char *) (n == 1 ? one : many);
}

char *
ngettext(const char *one, const char *many, unsigned long n)
{
	return (char *) (n == 1 ? one : many);
}
