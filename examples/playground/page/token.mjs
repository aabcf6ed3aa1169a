// token.mjs: in place of the dashboard's, on the page of scripts/demo: people and their tokens come from its server.
import { createPicker } from './picker.mjs';

export const getToken = createPicker(await (await fetch('people.json')).json());
