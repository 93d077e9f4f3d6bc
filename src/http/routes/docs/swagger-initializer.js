// Starts Swagger UI with the settings and additions of numberdesk.
"use strict";

(() => {
  const TOKEN = "numberdesk.token";
  const SCHEME = "bearer";
  const KEY = "idempotency-key";

  // Keeps the token while the tab is open, so that a reload does not lose it. No other tab and no later session reads it.
  const keepToken = () => ({
    statePlugins: {
      auth: {
        wrapActions: {
          authorize: (original) => (payload) => {
            const token = payload?.[SCHEME]?.value;
            if (typeof token === "string" && token) sessionStorage.setItem(TOKEN, token);
            return original(payload);
          },
          logout: (original) => (schemes) => {
            if (Array.from(schemes).includes(SCHEME)) sessionStorage.removeItem(TOKEN);
            return original(schemes);
          },
        },
      },
    },
  });

  const restoreToken = (ui) => {
    const token = sessionStorage.getItem(TOKEN);
    if (!token) return;
    if (isExpired(token)) sessionStorage.removeItem(TOKEN);
    else ui.preauthorizeApiKey(SCHEME, token);
  };

  const isExpired = (token) => {
    try {
      const payload = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(payload).exp * 1000 <= Date.now();
    } catch {
      return false;
    }
  };

  // Creates an idempotency key for each try: a key that this page made is not sent twice. A key that a
  // person has typed stays, so that a repetition can be tried too.
  const freshKeys = ({ React }) => {
    const made = new Set();
    const sent = new Set();
    const fresh = () => {
      const key = randomUuid();
      made.add(key);
      return key;
    };
    const isKey = (parameter) => String(parameter?.get?.("name")).toLowerCase() === KEY;
    const valueOf = (selectors, pathMethod, parameter) =>
      selectors.parameterWithMetaByIdentity(pathMethod, parameter)?.get("value");
    // Fills the field as soon as it is there. A field that a person has emptied has the value `null`.
    const filled = (Original) => function KeyRow(props) {
      const { rawParam, pathMethod, specSelectors, onChange } = props;
      const isMissing = isKey(rawParam) && valueOf(specSelectors, pathMethod, rawParam) === undefined;
      React.useEffect(() => {
        if (isMissing) onChange(rawParam, fresh(), false);
      }, [isMissing]);
      return React.createElement(Original, props);
    };
    return {
      wrapComponents: { parameterRow: filled },
      statePlugins: {
        spec: {
          wrapActions: {
            execute: (original, system) => (request) => {
              const { path, method } = request;
              const parameters = system.specSelectors.specResolvedSubtree(["paths", path, method, "parameters"]);
              const parameter = parameters?.find(isKey);
              if (parameter) {
                const value = valueOf(system.specSelectors, [path, method], parameter);
                if (made.has(value) && sent.has(value)) {
                  const key = fresh();
                  system.specActions.changeParamByIdentity([path, method], parameter, key, false);
                  sent.add(key);
                } else sent.add(value);
              }
              return original(request);
            },
          },
        },
      },
    };
  };

  // `crypto.randomUUID` exists only in a secure context: https, or this machine.
  const randomUuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  };

  // Shows the first success in full, the operation's other responses as one line each, and those that every operation
  // has as one line together.
  const shortResponses = (system) => {
    const { createElement, useMemo, useState } = system.React;
    // The problems of which a reader wants to see the body first. The others follow by name.
    const PREFERRED = ["policy-denied", "close-refused"];
    const ordered = (response) => {
      const path = ["content", "application/problem+json", "examples"];
      const last = (_, name) => (PREFERRED.includes(name) ? 0 : 1);
      return response.hasIn(path) ? response.updateIn(path, (examples) => examples.sortBy(last)) : response;
    };
    const declared = (path, method) => system.specSelectors.specJson().getIn(["paths", path, method, "responses"]);
    const isCommon = (response) => Boolean(response?.get("$ref"));

    const Collapsed = ({ code, response, getComponent, common, open }) => {
      const Markdown = getComponent("Markdown", true);
      return createElement("tr", { className: `response nd-collapsed${common ? " nd-common" : ""}`, "data-code": code },
        createElement("td", { className: "response-col_status" }, code),
        createElement("td", { className: "response-col_description", colSpan: 2 },
          createElement("div", { className: "response-col_description__inner" },
            createElement(Markdown, { source: response.get("description") })),
          createElement("button", { type: "button", className: "nd-button", "aria-expanded": false, onClick: open },
            "Show the body")));
    };

    const Common = ({ codes }) => {
      const [shown, show] = useState(false);
      const toggle = (event) => {
        event.currentTarget.closest("table").classList.toggle("nd-show-common", !shown);
        show(!shown);
      };
      return createElement("tr", { className: "nd-common-toggle" },
        createElement("td", null),
        createElement("td", { colSpan: 2 },
          createElement("button", { type: "button", className: "nd-button", "aria-expanded": shown, onClick: toggle },
            `${shown ? "Hide" : "Show"} the errors that every operation can have`),
          ` (${codes.join(", ")})`));
    };

    const wrapped = (Original) => function ShortResponse(props) {
      const [isOpen, open] = useState(false);
      const { path, method, code, isDefault } = props;
      const response = useMemo(() => ordered(props.response), [props.response]);
      const all = declared(path, method);
      const common = isCommon(all?.get(code));
      const codes = all ? all.filter(isCommon).keySeq().toArray() : [];
      const row = isDefault || isOpen
        ? createElement(Original, { ...props, response, className: `${props.className ?? ""}${common ? " nd-common" : ""}` })
        : createElement(Collapsed, { ...props, common, open: () => open(true) });
      if (code !== all?.keySeq().last() || codes.length === 0) return row;
      return createElement(system.React.Fragment, null, row, createElement(Common, { codes }));
    };
    return { wrapComponents: { response: wrapped } };
  };

  // Filters operations by their path, name and summary. Swagger UI itself filters only tags.
  const filterOperations = (system) => {
    const { createElement } = system.React;
    const text = (operation) => {
      const members = ["summary", "operationId", "description"].map((name) => operation.getIn(["operation", name]));
      return [operation.get("method"), operation.get("path"), ...members].join(" ").toLowerCase();
    };
    const opsFilter = (tags, phrase) => {
      const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
      const matches = (tag) => (operation) => words.every((word) => `${tag} ${text(operation)}`.includes(word));
      return tags
        .map((tag, name) => tag.update("operations", (operations) => operations.filter(matches(name))))
        .filter((tag) => tag.get("operations").size > 0);
    };
    const FilterContainer = ({ layoutSelectors, layoutActions }) => {
      const phrase = layoutSelectors.currentFilter();
      return createElement("div", { className: "filter wrapper" },
        createElement("input", {
          className: "operation-filter-input", type: "search", placeholder: "Filter operations", "aria-label": "Filter operations",
          value: typeof phrase === "string" ? phrase : "", onChange: (event) => layoutActions.updateFilter(event.target.value),
        }));
    };
    return { fn: { opsFilter }, components: { FilterContainer } };
  };

  // The page is one level below the root of the service, whatever the prefix is.
  const root = new URL("../", document.baseURI);
  document.querySelector(".nd-base").textContent = root.href.replace(/\/$/, "");
  const ui = SwaggerUIBundle({
    url: new URL("openapi.json", root).href,
    dom_id: "#swagger-ui",
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [keepToken, freshKeys, shortResponses, filterOperations],
    deepLinking: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
    filter: true,
    validatorUrl: "none",
    onComplete: () => restoreToken(ui),
  });
  window.ui = ui;
})();
