#include "gallery.h"

#include "price.h"

#include <inttypes.h>
#include <string.h>

static const char head[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"referrer\" content=\"no-referrer\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src http: https:; "
	"style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
	"<title>pixal3dfs</title>\n"
	"<style>\n"
	":root { color-scheme: light dark; --line: #8884; --soft: #8882 }\n"
	"body { font: 15px/1.4 system-ui, sans-serif; margin: 0 }\n"
	"header { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .6em 1em; "
	"align-items: center; padding: .7em 1.2em; background: Canvas; border-bottom: 1px solid var(--line) }\n"
	"h1 { font-size: 1.1em; margin: 0 }\n"
	"input { font: inherit; flex: 1 1 14em; max-width: 28em; padding: .3em .6em }\n"
	"main { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1em; "
	"padding: 1.2em }\n"
	"article { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; min-width: 0 }\n"
	"article > div { padding: .5em .7em .7em }\n"
	".image { display: grid; place-items: center; height: 170px; padding: 0; background: var(--soft); "
	"color: GrayText; text-decoration: none; font-size: 2.5em }\n"
	"img { width: 100%; height: 170px; object-fit: contain }\n"
	"h2 { font-size: 1em; margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }\n"
	"p { margin: .2em 0 0; font-size: .87em; color: GrayText }\n"
	"b { padding: 0 .5em; border-radius: 1em; background: var(--soft); color: CanvasText; "
	"font-weight: 600 }\n"
	".good { background: #2a96; } .bad { background: #d338; } .doubt { background: #e908; }\n"
	"</style>\n"
	"<header><h1></h1><input type=\"search\" placeholder=\"name, status or day\" aria-label=\"Find\">"
	"<span></span></header>\n"
	"<main></main><noscript>This page needs JavaScript; the file `jobs` beside it has the same "
	"list.</noscript>\n"
	"<script>\n"
	"'use strict';\n";

static const char tail[] =
	"];\n"
	"const tone = { COMPLETED: 'good', FAILED: 'bad', ERROR: 'bad', REFUSED: 'bad', UNCERTAIN: 'doubt' };\n"
	"const decode = text => { try { return decodeURIComponent(text) } catch { return text } };\n"
	"const all = rows.reverse().map(([path, label, status, created, cost, image, output, bytes]) => ({ path, status, "
	"cost, image, output, bytes, name: decode(label || path), day: new Date(created).toISOString().slice(0, 16)"
	".replace('T', ' ') }));\n"
	"const make = (parent, tag, text, more) => { const e = Object.assign(document.createElement(tag), more); "
	"if (text) e.textContent = text; parent.append(e); return e };\n"
	"const main = document.querySelector('main'), find = document.querySelector('input');\n"
	"document.querySelector('h1').textContent = 'pixal3dfs: ' + decode(source);\n"
	"function card(job) {\n"
	"  const a = make(main, 'article');\n"
	"  const link = make(a, 'a', '', { className: 'image', href: './' + job.path + '/' + job.output });\n"
	"  if (job.image) make(link, 'img', '', { loading: 'lazy', alt: '', src: job.image,\n"
	"    onerror() { this.replaceWith('\\u25c7') } });\n"
	"  else link.textContent = '\\u25c7';\n"
	"  const text = make(a, 'div');\n"
	"  make(make(text, 'h2'), 'a', job.name, { href: './' + job.path + '/', title: decode(job.path) });\n"
	"  const line = make(text, 'p');\n"
	"  make(line, 'b', job.status, { className: tone[job.status] || '' });\n"
	"  line.append(' ' + job.cost + ' USD' + (job.bytes ? ', ' + (job.bytes / 1048576).toFixed(1) + ' MiB' : ''));\n"
	"  make(text, 'p', job.day + ' UTC');\n"
	"}\n"
	"let shown = all, count = 0;\n"
	"const end = make(document.body, 'div', '', { style: 'height: 1px' });\n"
	"const more = () => { for (const job of shown.slice(count, count + 60)) card(job); count += 60; };\n"
	"const see = new IntersectionObserver(e => { if (e[0].isIntersecting && count < shown.length) {\n"
	"  more(); see.unobserve(end); see.observe(end) } }, { rootMargin: '800px' });\n"
	"function show() {\n"
	"  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean);\n"
	"  shown = all.filter(job => words.every(w => (job.name + ' ' + job.path + ' ' + job.status + ' ' + job.day).toLowerCase()"
	".includes(w)));\n"
	"  main.replaceChildren(); count = 0; more(); see.unobserve(end); see.observe(end);\n"
	"  const sum = shown.reduce((total, job) => total + Number(job.cost), 0);\n"
	"  document.querySelector('span').textContent = shown.length + (shown.length === 1 ? ' job, ' : ' jobs, ') + "
	"sum.toFixed(2) + ' USD by estimate';\n"
	"}\n"
	"find.oninput = show;\n"
	"show();\n"
	"</script>\n";

/* TEXT in ASCII that neither a URL, nor a script's string, nor HTML takes for anything else: every
 * byte but letters, digits and those of KEEP is %XX. */
static void put_encoded(const char *text, const char *keep, FILE *out)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++)
		if (strchr(plain, *text) || strchr(keep, *text))
			putc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
}

void gallery_begin(const char *source, FILE *out)
{
	fputs(head, out);
	fputs("const source = '", out);
	put_encoded(source, ":/", out);
	fputs("';\nconst rows = [\n", out);
}

void gallery_row(const struct job *job, FILE *out)
{
	const struct job_output *output = job->output_count && job->outputs[0].size >= 0
						  ? &job->outputs[0]
						  : NULL;
	char name[JOB_NAME_MAX], cost[PRICE_TEXT_MAX];

	fputs("['", out);
	put_encoded(job_name(job, name), "", out);
	fputs("','", out);
	put_encoded(job->label ? job->label : "", "", out);
	fputs("','", out);
	put_encoded(job_word(job), "", out);
	fprintf(out, "',%" PRId64 ",'%s','", job->created_ms,
		price_text(job_cost(job) + job->earlier, cost));
	/* What may stand in a URL as it is (RFC 3986), "%" among it, but for the quote. */
	put_encoded(job->image_url ? job->image_url : "", ":/?#[]@!$&()*+,;=%", out);
	fputs("','", out);
	put_encoded(output ? output->name : "", "", out);
	fprintf(out, "',%" PRId64 "],\n", output ? output->size : 0);
}

void gallery_end(FILE *out)
{
	fputs(tail, out);
}
